// The package github.com/hashicorp/vault/api, unmodified, against a new server at VAULT_ADDR that
// VAULT_CACERT vouches for. Ends with 0 if all of it worked, and says how many steps there were.
// The script beside it builds the same program with OpenBao's package too.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

var (
	ctx    = context.Background()
	client *api.Client
	keys   []string
)

// A step that failed ends the program.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func got[T any](value T, err error) T {
	must(err)
	return value
}

func same(what string, found, wanted any) {
	if !reflect.DeepEqual(found, wanted) {
		panic(fmt.Sprintf("%s: %#v, not %#v", what, found, wanted))
	}
}

func refused(err error, status int, text string) {
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		panic(fmt.Sprintf("not refused, but %v", err))
	}
	same("status", answer.StatusCode, status)
	if !strings.Contains(err.Error(), text) {
		panic(fmt.Sprintf("%q has no %q", err, text))
	}
}

func with(token string) *api.Client {
	other := got(client.Clone())
	other.SetToken(token)
	return other
}

func operators() {
	sys := client.Sys()
	same("initialised", got(sys.InitStatus()), false)
	same("health", got(sys.Health()).Initialized, false)
	made := got(sys.Init(&api.InitRequest{SecretShares: 3, SecretThreshold: 2}))
	keys = made.KeysB64
	client.SetToken(made.RootToken)
	same("sealed", got(sys.SealStatus()).Sealed, true)
	same("progress", got(sys.Unseal(made.Keys[0])).Progress, 1)
	same("reset", got(sys.ResetUnsealProcess()).Progress, 0)
	for _, key := range keys[:2] {
		got(sys.Unseal(key))
	}
	status := got(sys.SealStatus())
	same("unsealed", status.Sealed, false)
	same("storage", status.Type, "shamir")
	health := got(sys.Health())
	same("health", []bool{health.Initialized, health.Sealed, health.Standby}, []bool{true, false, false})
	if health.ClusterID == "" || health.Version == "" {
		panic("health has no cluster id or version")
	}
	same("leader", got(sys.Leader()).HAEnabled, false)
	before := got(sys.KeyStatus()).Term
	must(sys.Rotate())
	same("term", got(sys.KeyStatus()).Term, before+1)
}

func rekey() {
	sys := client.Sys()
	started := got(sys.RekeyInit(&api.RekeyInitRequest{SecretShares: 3, SecretThreshold: 2}))
	same("started", got(sys.RekeyStatus()).Started, true)
	must(sys.RekeyCancel())
	started = got(sys.RekeyInit(&api.RekeyInitRequest{SecretShares: 3, SecretThreshold: 2}))
	same("first", got(sys.RekeyUpdate(keys[0], started.Nonce)).Complete, false)
	done := got(sys.RekeyUpdate(keys[1], started.Nonce))
	same("second", done.Complete, true)
	keys = done.KeysB64
}

func mounts() {
	sys := client.Sys()
	must(sys.Mount("secret", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	must(sys.Mount("old", &api.MountInput{Type: "kv", Description: "first", Config: api.MountConfigInput{DefaultLeaseTTL: "1h", MaxLeaseTTL: "24h"}}))
	must(sys.Mount("transit", &api.MountInput{Type: "transit"}))
	must(sys.Mount("totp", &api.MountInput{Type: "totp"}))
	refused(sys.Mount("old", &api.MountInput{Type: "kv"}), 400, "path is already in use at old/")
	all := got(sys.ListMounts())
	same("version", all["secret/"].Options["version"], "2")
	same("ttl", all["old/"].Config.DefaultLeaseTTL, 3600)
	text := "second"
	must(sys.TuneMount("old", api.MountConfigInput{Description: &text, MaxLeaseTTL: "48h", ListingVisibility: "unauth"}))
	config := got(sys.MountConfig("old"))
	same("tuned", []any{config.MaxLeaseTTL, config.DefaultLeaseTTL, config.ListingVisibility}, []any{172800, 3600, "unauth"})
	same("described", got(sys.ListMounts())["old/"].Description, "second")
	must(sys.Remount("old", "new/place"))
	_, there := got(sys.ListMounts())["new/place/"]
	same("moved", there, true)
	must(sys.Unmount("new/place"))
	must(sys.EnableAuthWithOptions("approle", &api.EnableAuthOptions{Type: "approle", Config: api.MountConfigInput{DefaultLeaseTTL: "30m"}}))
	must(sys.EnableAuthWithOptions("userpass", &api.EnableAuthOptions{Type: "userpass"}))
	same("auth", got(sys.ListAuth())["approle/"].Config.DefaultLeaseTTL, 1800)
	must(sys.TuneMount("auth/approle", api.MountConfigInput{TokenType: "default-service"}))
	must(sys.EnableAuthWithOptions("gone", &api.EnableAuthOptions{Type: "userpass"}))
	must(sys.DisableAuth("gone"))
	cors := got(sys.CORSStatus())
	same("cors", cors.Enabled, false)
	got(sys.ListAudit())
}

func kv1() {
	must(client.Sys().Mount("kv1", &api.MountInput{Type: "kv-v1"}))
	kv := client.KVv1("kv1")
	must(kv.Put(ctx, "a/b", map[string]any{"n": 7, "s": "t"}))
	read := got(kv.Get(ctx, "a/b"))
	same("number", fmt.Sprint(read.Data["n"]), "7")
	same("text", read.Data["s"], "t")
	same("list", got(client.Logical().List("kv1/a")).Data["keys"], []any{"b"})
	must(kv.Delete(ctx, "a/b"))
	_, err := kv.Get(ctx, "a/b")
	same("gone", errors.Is(err, api.ErrSecretNotFound), true)
	if missing := got(client.Logical().List("kv1/a")); missing != nil {
		panic("an empty list is not nil")
	}
}

func kv2() {
	kv := client.KVv2("secret")
	first := got(kv.Put(ctx, "app", map[string]any{"a": "1"}, api.WithCheckAndSet(0)))
	same("version", first.VersionMetadata.Version, 1)
	_, err := kv.Put(ctx, "app", map[string]any{"a": "x"}, api.WithCheckAndSet(0))
	refused(err, 400, "check-and-set parameter did not match the current version")
	got(kv.Patch(ctx, "app", map[string]any{"b": "2"}))
	got(kv.Patch(ctx, "app", map[string]any{"a": nil}, api.WithMergeMethod(api.KVMergeMethodReadWrite)))
	read := got(kv.Get(ctx, "app"))
	same("patched", read.Data["b"], "2")
	same("version", read.VersionMetadata.Version, 3)
	same("version 1", got(kv.GetVersion(ctx, "app", 1)).Data, map[string]any{"a": "1"})
	same("versions", len(got(kv.GetVersionsAsList(ctx, "app"))), 3)
	rolled := got(kv.Rollback(ctx, "app", 1))
	same("rolled back", rolled.VersionMetadata.Version, 4)
	must(kv.DeleteVersions(ctx, "app", []int{4}))
	deleted := got(kv.Get(ctx, "app"))
	same("deleted", len(deleted.Data), 0)
	same("when", deleted.VersionMetadata.DeletionTime.IsZero(), false)
	must(kv.Undelete(ctx, "app", []int{4}))
	must(kv.Destroy(ctx, "app", []int{1}))
	same("destroyed", got(kv.GetVersion(ctx, "app", 1)).VersionMetadata.Destroyed, true)
	must(kv.PutMetadata(ctx, "app", api.KVMetadataPutInput{MaxVersions: 5, DeleteVersionAfter: time.Hour, CustomMetadata: map[string]any{"k": "v"}}))
	cas := true
	must(kv.PatchMetadata(ctx, "app", api.KVMetadataPatchInput{CASRequired: &cas, CustomMetadata: map[string]any{"l": "w"}}))
	metadata := got(kv.GetMetadata(ctx, "app"))
	same("custom", metadata.CustomMetadata, map[string]any{"k": "v", "l": "w"})
	same("settings", []any{metadata.CASRequired, metadata.MaxVersions, metadata.DeleteVersionAfter}, []any{true, 5, time.Hour})
	_, err = kv.Put(ctx, "app", map[string]any{"a": "x"})
	refused(err, 400, "check-and-set parameter required for this call")
	must(kv.DeleteMetadata(ctx, "app"))
	_, err = kv.Get(ctx, "app")
	same("gone", errors.Is(err, api.ErrSecretNotFound), true)
	wrong, err := client.Logical().Read("secret/app")
	must(err)
	same("a hint", len(wrong.Warnings), 1)
	large := "12345678901234567890"
	got(kv.Put(ctx, "large", map[string]any{"n": uint64(12345678901234567890)}))
	same("a large number", fmt.Sprint(got(kv.Get(ctx, "large")).Data["n"]), large)
}

func policies() {
	sys := client.Sys()
	must(sys.PutPolicy("app", `path "secret/data/app/*" { capabilities = ["create", "update", "read"] }`))
	same("text", strings.Contains(got(sys.GetPolicy("app")), "secret/data/app/*"), true)
	same("none", got(sys.GetPolicy("none")), "")
	same("list", got(sys.ListPolicies()), []string{"app", "default", "root"})
	auth := got(client.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"app"}})).Auth
	same("of a token", got(sys.Capabilities(auth.ClientToken, "secret/data/app/x")), []string{"create", "read", "update"})
	named := map[string]any{"accessor": auth.Accessor, "paths": "secret/data/app/x"}
	of := got(client.Logical().Write("sys/capabilities-accessor", named)).Data
	same("of an accessor", of["secret/data/app/x"], []any{"create", "read", "update"})
	limited := with(auth.ClientToken)
	same("of itself", got(limited.Sys().CapabilitiesSelf("sys/mounts")), []string{"deny"})
	got(limited.KVv2("secret").Put(ctx, "app/x", map[string]any{"a": 1}))
	_, err := limited.KVv2("secret").Get(ctx, "other")
	refused(err, 403, "permission denied")
	preflight := got(limited.Logical().Read("sys/internal/ui/mounts/secret/app/x"))
	same("preflight", []any{preflight.Data["path"], preflight.Data["options"].(map[string]any)["version"]}, []any{"secret/", "2"})
	_, err = limited.Logical().Read("sys/internal/ui/mounts/transit/x")
	refused(err, 403, "preflight capability check returned 403, please ensure client's policies grant access to path \"transit/x/\"")
	must(sys.DeletePolicy("app"))
}

func tokens() {
	token := client.Auth().Token()
	yes := true
	made := got(token.Create(&api.TokenCreateRequest{Policies: []string{"default"}, TTL: "1h", Renewable: &yes, Metadata: map[string]string{"a": "b"}, DisplayName: "app"})).Auth
	found := got(token.Lookup(made.ClientToken))
	same("ttl", got(found.TokenTTL()), time.Hour)
	same("renewable", got(found.TokenIsRenewable()), true)
	same("policies", got(found.TokenPolicies()), []string{"default"})
	same("meta", got(found.TokenMetadata()), map[string]string{"a": "b"})
	same("accessor", got(got(token.LookupAccessor(made.Accessor)).TokenAccessor()), made.Accessor)
	same("renewed", got(token.Renew(made.ClientToken, 7200)).Auth.LeaseDuration, 7200)
	self := with(made.ClientToken).Auth().Token()
	got(self.RenewSelf(60))
	got(self.LookupSelf())
	must(token.RevokeAccessor(made.Accessor))
	_, err := self.LookupSelf()
	refused(err, 403, "permission denied")
	orphan := got(token.CreateOrphan(&api.TokenCreateRequest{Policies: []string{"default"}, Type: "batch", TTL: "5m"})).Auth
	same("orphan", []any{orphan.Orphan, strings.HasPrefix(orphan.ClientToken, "hvb.")}, []any{true, true})
	got(client.Logical().Write("auth/token/roles/r", map[string]any{"allowed_policies": "default", "token_period": "1h"}))
	periodic := got(token.CreateWithRole(&api.TokenCreateRequest{}, "r")).Auth
	same("period", periodic.LeaseDuration, 3600)
	must(token.RevokeOrphan(periodic.ClientToken))
	once := got(token.Create(&api.TokenCreateRequest{Policies: []string{"default"}, NumUses: 1})).Auth
	got(with(once.ClientToken).Auth().Token().LookupSelf())
	_, err = with(once.ClientToken).Auth().Token().LookupSelf()
	refused(err, 403, "permission denied")
}

func approle() {
	write := func(path string, data map[string]any) *api.Secret { return got(client.Logical().Write(path, data)) }
	write("auth/approle/role/app", map[string]any{"token_policies": []string{"default"}, "token_ttl": "10m", "token_max_ttl": "1h"})
	role := got(client.Logical().Read("auth/approle/role/app/role-id")).Data["role_id"]
	// A wrapped secret id, as a deployment hands it over.
	wrapping := got(client.Clone())
	wrapping.SetToken(client.Token())
	wrapping.SetWrappingLookupFunc(func(string, string) string { return "5m" })
	wrapped := got(wrapping.Logical().Write("auth/approle/role/app/secret-id", nil)).WrapInfo
	same("made at", wrapped.CreationPath, "auth/approle/role/app/secret-id")
	same("ttl", wrapped.TTL, 300)
	secret := got(client.Logical().Unwrap(wrapped.Token)).Data["secret_id"]
	_, err := client.Logical().Unwrap(wrapped.Token)
	refused(err, 400, "wrapping token is not valid or does not exist")
	anyone := with("")
	login := got(anyone.Logical().Write("auth/approle/login", map[string]any{"role_id": role, "secret_id": secret}))
	same("lease", login.Auth.LeaseDuration, 600)
	renewed(with(login.Auth.ClientToken), login)
	_, err = anyone.Logical().Write("auth/approle/login", map[string]any{"role_id": role, "secret_id": "no"})
	refused(err, 400, "invalid role or secret ID")
	lease := "auth/approle/login/" + got(client.Logical().List("sys/leases/lookup/auth/approle/login")).Data["keys"].([]any)[0].(string)
	same("looked up", got(client.Sys().Lookup(lease)).Data["id"], lease)
	must(client.Sys().Revoke(lease))
	must(client.Sys().RevokePrefix("auth/approle"))
	must(client.Sys().RevokeForce("auth/approle"))
}

// The package's own renewal, once.
func renewed(self *api.Client, login *api.Secret) {
	watcher := got(self.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: login}))
	go watcher.Start()
	defer watcher.Stop()
	select {
	case err := <-watcher.DoneCh():
		panic(fmt.Sprintf("the renewal ended: %v", err))
	case renewal := <-watcher.RenewCh():
		same("renewed", renewal.Secret.Auth.Renewable, true)
	case <-time.After(30 * time.Second):
		panic("no renewal")
	}
}

func userpass() {
	got(client.Logical().Write("auth/userpass/users/eve", map[string]any{"password": "correct horse", "token_policies": "default"}))
	anyone := with("")
	login := got(anyone.Logical().Write("auth/userpass/login/eve", map[string]any{"password": "correct horse"}))
	same("name", login.Auth.Metadata, map[string]string{"username": "eve"})
	_, err := anyone.Logical().Write("auth/userpass/login/eve", map[string]any{"password": "no"})
	refused(err, 400, "invalid username or password")
}

func transit() {
	write := func(path string, data map[string]any) map[string]any { return got(client.Logical().Write(path, data)).Data }
	plain := base64.StdEncoding.EncodeToString([]byte("hello"))
	// As sops does it: a key that nobody made, and PUT.
	sealed := write("transit/encrypt/sops", map[string]any{"plaintext": plain})["ciphertext"]
	same("opened", write("transit/decrypt/sops", map[string]any{"ciphertext": sealed})["plaintext"], plain)
	for _, kind := range []string{"ed25519", "ecdsa-p256", "rsa-2048"} {
		got(client.Logical().Write("transit/keys/"+kind, map[string]any{"type": kind}))
		signature := write("transit/sign/"+kind, map[string]any{"input": plain})["signature"]
		same(kind, write("transit/verify/"+kind, map[string]any{"input": plain, "signature": signature})["valid"], true)
	}
	same("listed", len(got(client.Logical().List("transit/keys")).Data["keys"].([]any)), 4)
}

func wire() {
	raw := got(client.Logical().ReadRaw("sys/health"))
	same("health", raw.StatusCode, http.StatusOK)
	must(raw.Body.Close())
	help := got(client.Help("secret"))
	same("help", help.Help != "", true)
	data := map[string][]string{"version": {"1"}}
	same("a query", got(client.Logical().ReadWithData("secret/data/large", data)).Data["data"] != nil, true)
	got(client.Logical().DeleteWithData("secret/data/large", data))
	elsewhere := client.WithNamespace("elsewhere")
	_, err := elsewhere.Logical().Write("secret/data/large", map[string]any{"data": map[string]any{}})
	refused(err, 404, "namespace")
	_, err = client.Logical().Write("secret/data/wrong", nil)
	refused(err, 400, "no data provided")
	got(client.Logical().Write("sys/tools/random/8", nil))
	got(client.Logical().Read("sys/host-info"))
}

func seal() {
	sys := client.Sys()
	otp := got(sys.GenerateRootStatus()).OTPLength
	same("one-time password", otp > 0, true)
	must(sys.Seal())
	same("sealed", got(sys.Health()).Sealed, true)
	for _, key := range keys[:2] {
		got(sys.Unseal(key))
	}
	same("unsealed", got(sys.SealStatus()).Sealed, false)
}

func main() {
	config := api.DefaultConfig()
	must(config.Error)
	config.MaxRetries = 0
	client = got(api.NewClient(config))
	steps := []struct {
		name string
		run  func()
	}{
		{"operators", operators}, {"rekey", rekey}, {"mounts", mounts}, {"kv1", kv1}, {"kv2", kv2},
		{"policies", policies}, {"tokens", tokens}, {"approle", approle}, {"userpass", userpass},
		{"transit", transit}, {"wire", wire}, {"seal", seal},
	}
	current := ""
	defer func() {
		if failure := recover(); failure != nil {
			fmt.Printf("go: %s: %v\n", current, failure)
			os.Exit(1)
		}
		fmt.Printf("go: %d steps passed\n", len(steps))
	}()
	for _, step := range steps {
		current = step.name
		step.run()
		fmt.Printf("go: %s: ok\n", step.name)
	}
}
