/* Records, in one total order, what a process does to the files of one directory, so that a disk
 * which lost its power at any point can be rebuilt. Loaded by LD_PRELOAD.
 *
 * POWER_DIR     the directory (absolute, without symbolic links)
 * POWER_LOG     where the record goes
 * POWER_MUTANT  no-sync: syncs are swallowed; no-log-sync: those of the write-ahead log
 * POWER_FAIL    log-sync:N, db-sync:N (EIO) or log-write:N (ENOSPC): the N-th of these calls fails
 *
 * Record: op u8 | name length u8 | name | offset u64 | length u64 | payload (little endian, as host).
 * W write, T truncate to offset, C create, U unlink, S sync of what came before record `offset`,
 * F one that failed, D sync of the directory likewise, A payload went to standard output. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096
#define NAME 64
#define DIRECTORY "."

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static char names[FDS][NAME]; /* empty: not ours */
static const char *dir, *mutant = "", *fail = "";
static int log_fd = -1;
static uint64_t records;
static unsigned long log_syncs, db_syncs, log_writes;

__attribute__((constructor)) static void start(void) {
    dir = getenv("POWER_DIR");
    if (getenv("POWER_MUTANT")) mutant = getenv("POWER_MUTANT");
    if (getenv("POWER_FAIL")) fail = getenv("POWER_FAIL");
    const char *log = getenv("POWER_LOG");
    if (!dir || !log) return;
    log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) abort();
}

static void record(char op, const char *name, uint64_t offset, const void *data, uint64_t length) {
    uint8_t head[2] = {(uint8_t)op, (uint8_t)strlen(name)};
    struct iovec parts[] = {{head, 2}, {(void *)name, head[1]}, {&offset, 8}, {&length, 8}, {(void *)data, length}};
    if (syscall(SYS_writev, log_fd, parts, 5) != (long)(18 + head[1] + length)) abort();
    records++;
}

/* The name inside the directory, or NULL. The index is rebuilt from the log: it does not count. */
static const char *inside(const char *path) {
    size_t n = dir ? strlen(dir) : 0;
    if (log_fd < 0 || strncmp(path, dir, n)) return NULL;
    if (!path[n]) return DIRECTORY;
    if (path[n] != '/' || strlen(path + n + 1) >= NAME || strstr(path, "-shm")) return NULL;
    return path + n + 1;
}

static const char *of(int fd) { return fd >= 0 && fd < FDS && names[fd][0] ? names[fd] : NULL; }
static int is_log(const char *name) { return strstr(name, "-wal") != NULL; }

static int fails(const char *what, unsigned long count) {
    size_t n = strlen(what);
    return !strncmp(fail, what, n) && strtoul(fail + n, NULL, 10) == count;
}

static int opened(int at, const char *path, int flags, mode_t mode) {
    const char *name = inside(path);
    if (!name) return syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&order);
    struct stat before;
    int existed = stat(path, &before) == 0;
    int fd = syscall(SYS_openat, at, path, flags, mode), error = errno;
    if (fd >= FDS) abort();
    if (fd >= 0) {
        strcpy(names[fd], name);
        if (!existed) record('C', name, 0, "", 0);
        else if (flags & O_TRUNC) record('T', name, 0, "", 0);
    }
    pthread_mutex_unlock(&order);
    errno = error;
    return fd;
}

#define OPEN(function)                                       \
    int function(const char *path, int flags, ...) {         \
        va_list rest;                                        \
        va_start(rest, flags);                               \
        mode_t mode = va_arg(rest, mode_t);                  \
        va_end(rest);                                        \
        return opened(AT_FDCWD, path, flags, mode);          \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(function)                                     \
    int function(int at, const char *path, int flags, ...) { \
        va_list rest;                                        \
        va_start(rest, flags);                               \
        mode_t mode = va_arg(rest, mode_t);                  \
        va_end(rest);                                        \
        return opened(at, path, flags, mode);                \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    pthread_mutex_lock(&order);
    if (fd >= 0 && fd < FDS) names[fd][0] = 0;
    int result = syscall(SYS_close, fd), error = errno;
    pthread_mutex_unlock(&order);
    errno = error;
    return result;
}

static ssize_t written(int fd, const void *data, size_t length, int64_t offset, int is_positioned) {
    const char *name = of(fd);
    if (!name && !(fd == 1 && log_fd >= 0)) {
        return is_positioned ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
    }
    pthread_mutex_lock(&order);
    ssize_t result;
    int error = 0;
    if (name && is_log(name) && fails("log-write:", ++log_writes)) {
        result = -1, error = ENOSPC;
    } else {
        if (name && !is_positioned) offset = lseek(fd, 0, SEEK_CUR);
        result = is_positioned ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
        error = errno;
        if (result > 0) record(name ? 'W' : 'A', name ? name : "", name ? offset : 0, data, result);
    }
    pthread_mutex_unlock(&order);
    errno = error;
    return result;
}

ssize_t write(int fd, const void *data, size_t length) { return written(fd, data, length, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return written(fd, data, length, offset, 1); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return written(fd, data, length, offset, 1); }

int ftruncate(int fd, off_t length) {
    const char *name = of(fd);
    pthread_mutex_lock(&order);
    int result = syscall(SYS_ftruncate, fd, length), error = errno;
    if (name && result == 0) record('T', name, length, "", 0);
    pthread_mutex_unlock(&order);
    errno = error;
    return result;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

/* No real sync: the disk is simulated. What is written while it lasts is not covered by it. */
static int synced(int fd, long call) {
    const char *name = of(fd);
    if (!name) return syscall(call, fd);
    if (!strcmp(mutant, "no-sync") || (!strcmp(mutant, "no-log-sync") && is_log(name))) return 0;
    pthread_mutex_lock(&order);
    uint64_t before = records;
    int is_failing = is_log(name) ? fails("log-sync:", ++log_syncs)
                                  : !strcmp(name, "vaultd.db") && fails("db-sync:", ++db_syncs);
    pthread_mutex_unlock(&order);
    usleep(200);
    pthread_mutex_lock(&order);
    record(is_failing ? 'F' : strcmp(name, DIRECTORY) ? 'S' : 'D', name, before, "", 0);
    pthread_mutex_unlock(&order);
    if (is_failing) errno = EIO;
    return is_failing ? -1 : 0;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int unlink(const char *path) {
    const char *name = inside(path);
    pthread_mutex_lock(&order);
    int result = syscall(SYS_unlinkat, AT_FDCWD, path, 0), error = errno;
    if (name && result == 0) record('U', name, 0, "", 0);
    pthread_mutex_unlock(&order);
    errno = error;
    return result;
}

/* Not used by the engine today; if that changes, the record would be incomplete. */
int rename(const char *from, const char *to) {
    if (inside(from) || inside(to)) abort();
    return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int posix_fallocate(int fd, off_t offset, off_t length) {
    if (of(fd)) abort();
    return syscall(SYS_fallocate, fd, 0, offset, length) ? errno : 0;
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    if (of(fd)) abort();
    return syscall(SYS_pwritev, fd, parts, count, offset, 0);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (of(fd) || (fd == 1 && log_fd >= 0)) abort();
    return syscall(SYS_writev, fd, parts, count);
}
