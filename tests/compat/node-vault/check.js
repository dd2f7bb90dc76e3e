// The package node-vault, unmodified, against a new server at VAULT_ADDR that VAULT_CACERT vouches for:
// every command of the package's own table, its answer checked against the package's own schema.
// Ends with 0 if all of it worked, and if no command was forgotten.

'use strict';

const assert = require('assert');
const fs = require('fs');
const tv4 = require('tv4');
const commands = require('node-vault/src/commands.js');

const requestOptions = { ca: fs.readFileSync(process.env.VAULT_CACERT) };
const vault = require('node-vault')({ requestOptions });

// What these log in to, or what they make, is not there.
const NOT_THERE = [
    'awsIamLogin', 'certLogin', 'gcpLogin', 'githubLogin', 'jwtLogin', 'kubernetesLogin', 'ldapLogin',
    'oktaLogin', 'radiusLogin', 'addKubernetesRole', 'getKubernetesRole', 'deleteKubernetesRole',
    'generateDatabaseCredentials', 'enableAudit', 'disableAudit',
];
const tried = new Set();

// Some commands go on with the token that they got: not here.
async function run(name, args) {
    const { token } = vault;
    const answer = await vault[name](args);
    if (name !== 'init') vault.token = token;
    const schema = commands[name].schema && commands[name].schema.res;
    if (schema) {
        // The package's schemas give null other types.
        const shown = JSON.parse(JSON.stringify(answer, (_, value) => (value === null ? undefined : value)));
        assert(tv4.validate(shown, schema), `${name}: ${JSON.stringify(tv4.error)}: ${JSON.stringify(answer)}`);
    }
    tried.add(name);
    return answer;
}

async function refused(promise, status, message) {
    const error = await promise.then(() => null, (failure) => failure);
    assert(error, `not refused: ${message}`);
    assert.strictEqual(error.response && error.response.statusCode, status, error.message);
    assert(error.message.includes(message), `${error.message} has no ${message}`);
}

async function operators() {
    assert.strictEqual((await run('initialized')).initialized, false);
    const { keys, root_token: token } = await run('init', { secret_shares: 1, secret_threshold: 1 });
    await refused(vault.init({ secret_shares: 1, secret_threshold: 1 }), 400, 'Vault is already initialized');
    vault.token = token;
    assert.strictEqual((await run('status')).sealed, true);
    assert.strictEqual((await run('health')).sealed, true);
    assert.strictEqual((await run('unseal', { key: keys[0] })).sealed, false);
    assert.strictEqual((await run('health')).sealed, false);
    assert.strictEqual((await run('leader')).ha_enabled, false);
    await run('rotate');
    await run('stepDown');
    return keys[0];
}

async function mounts() {
    await run('mount', { mount_point: 'secret', type: 'kv', options: { version: '2' }, description: 'x' });
    await run('mount', { mount_point: 'old', type: 'kv' });
    await run('mount', { mount_point: 'transit', type: 'transit' });
    const all = await run('mounts');
    assert.strictEqual(all['secret/'].options.version, '2');
    assert.strictEqual(all.data['old/'].type, 'kv');
    await run('remount', { from: 'old', to: 'new' });
    await vault.write('new/a', { b: 1 });
    assert.deepStrictEqual((await vault.read('new/a')).data, { b: 1 });
    assert.deepStrictEqual((await vault.list('new')).data.keys, ['a']);
    await vault.delete('new/a');
    await refused(vault.read('new/a'), 404, 'Status 404');
    await run('unmount', { mount_point: 'new' });
    assert(!('new/' in (await run('mounts'))));
    assert((await vault.help('sys/mounts')).help.length > 0);
    assert(typeof (await run('audits')) === 'object');
}

async function versions() {
    await vault.write('secret/data/a', { data: { x: 'y' } });
    await vault.update('secret/data/a', { data: { z: 1 } });
    assert.deepStrictEqual((await vault.read('secret/data/a')).data.data, { x: 'y', z: 1 });
    assert.deepStrictEqual((await vault.read('secret/data/a?version=1')).data.data, { x: 'y' });
    await run('destroySecretVersions', { path: 'a', versions: [1] });
    await refused(vault.read('secret/data/a?version=1'), 404, 'Status 404');
    vault.noCustomHTTPVerbs = true;
    assert.deepStrictEqual((await vault.list('secret/metadata')).data.keys, ['a']);
    vault.noCustomHTTPVerbs = false;
}

async function transit() {
    const key = { name: 'k' };
    await run('transitCreateKey', { ...key, type: 'aes256-gcm96' });
    assert.strictEqual((await run('transitReadKey', key)).data.latest_version, 1);
    assert.deepStrictEqual((await run('transitListKeys')).data.keys, ['k']);
    const { data } = await run('encryptData', { ...key, plaintext: 'aGVsbG8=' });
    await vault.write('transit/keys/k/rotate', {});
    const again = await run('rewrapData', { ...key, ciphertext: data.ciphertext });
    assert(again.data.ciphertext.startsWith('vault:v2:'));
    const back = await run('decryptData', { ...key, ciphertext: again.data.ciphertext });
    assert.strictEqual(back.data.plaintext, 'aGVsbG8=');
    await vault.write('transit/keys/k/config', { deletion_allowed: true });
    await run('transitDeleteKey', key);
}

async function policies() {
    await run('addPolicy', { name: 'p', policy: 'path "secret/data/a" { capabilities = ["read"] }' });
    assert((await run('getPolicy', { name: 'p' })).rules.includes('secret/data/a'));
    assert((await run('policies')).policies.includes('p'));
    const limited = require('node-vault')({ requestOptions });
    limited.token = (await run('tokenCreate', { policies: ['p'] })).auth.client_token;
    assert.strictEqual((await limited.read('secret/data/a')).data.data.x, 'y');
    await refused(limited.read('secret/data/b'), 403, 'permission denied');
    await run('removePolicy', { name: 'p' });
    await refused(limited.read('secret/data/a'), 403, 'permission denied');
}

async function tokens() {
    await run('addTokenRole', { role_name: 'r', allowed_policies: 'default', orphan: true, renewable: true });
    assert.strictEqual((await run('getTokenRole', { role_name: 'r' })).data.orphan, true);
    assert.deepStrictEqual((await run('tokenRoles')).data.keys, ['r']);
    await run('tokenCreateRole', { role_name: 'r', policies: ['default'] });
    await run('removeTokenRole', { role_name: 'r' });
    const make = async () => (await run('tokenCreate', { policies: ['default'], ttl: '1h', num_uses: 0, meta: { a: 'b' } })).auth;
    const one = await make();
    assert.strictEqual((await run('tokenLookup', { token: one.client_token })).data.meta.a, 'b');
    assert.strictEqual((await run('tokenLookupAccessor', { accessor: one.accessor })).data.id, '');
    assert((await run('tokenAccessors')).data.keys.includes(one.accessor));
    assert.strictEqual((await run('tokenRenew', { token: one.client_token, increment: 7200 })).auth.lease_duration, 7200);
    await run('tokenRevoke', { token: one.client_token });
    await refused(vault.tokenLookup({ token: one.client_token }), 403, 'bad token');
    await run('tokenRevokeAccessor', { accessor: (await make()).accessor });
    await run('tokenRevokeOrphan', { token: (await make()).client_token });
    const orphan = (await run('tokenCreateOrphan', { policies: ['default'] })).auth;
    const other = require('node-vault')({ requestOptions });
    other.token = orphan.client_token;
    assert.strictEqual((await other.tokenLookupSelf()).data.orphan, true);
    await other.tokenRenewSelf();
    await other.tokenRevokeSelf();
    await refused(other.tokenLookupSelf(), 403, 'permission denied');
    for (const name of ['tokenLookupSelf', 'tokenRenewSelf', 'tokenRevokeSelf']) {
        const root = vault.token;
        vault.token = (await make()).client_token;
        await run(name);
        vault.token = root;
    }
}

async function approle() {
    const role_name = 'app';
    await run('enableAuth', { mount_point: 'approle', type: 'approle' });
    assert((await run('auths'))['approle/']);
    await run('addApproleRole', { role_name, policies: 'default', secret_id_ttl: 600, token_ttl: 600 });
    assert.strictEqual((await run('getApproleRole', { role_name })).data.token_ttl, 600);
    assert.deepStrictEqual((await run('approleRoles')).data.keys, ['app']);
    await run('updateApproleRoleId', { role_name, role_id: 'chosen' });
    assert.strictEqual((await run('getApproleRoleId', { role_name })).data.role_id, 'chosen');
    const { secret_id } = (await run('getApproleRoleSecret', { role_name, metadata: '{"k":"v"}' })).data;
    const { keys: [secret_id_accessor] } = (await run('approleSecretAccessors', { role_name })).data;
    assert.strictEqual((await run('approleSecretLookup', { role_name, secret_id })).data.metadata.k, 'v');
    await run('approleSecretAccessorLookup', { role_name, secret_id_accessor });
    await run('approleLogin', { role_id: 'chosen', secret_id });
    assert.strictEqual((await vault.list('sys/leases/lookup/auth/approle/login')).data.keys.length, 1);
    await run('revokePrefix', { path_prefix: 'auth/approle' });
    await run('approleSecretDestroy', { role_name, secret_id });
    await refused(vault.approleLogin({ role_id: 'chosen', secret_id }), 400, 'invalid role or secret ID');
    await run('getApproleRoleSecret', { role_name });
    const [left] = (await vault.approleSecretAccessors({ role_name })).data.keys;
    // The package has no way to say which accessor.
    await refused(vault.approleSecretAccessorDestroy({ role_name }), 400, 'secret_id_accessor');
    tried.add('approleSecretAccessorDestroy');
    await vault.write('auth/approle/role/app/secret-id-accessor/destroy', { secret_id_accessor: left });
    await refused(vault.approleSecretAccessors({ role_name }), 404, 'Status 404');
    await run('deleteApproleRole', { role_name });
    await run('disableAuth', { mount_point: 'approle' });
}

async function people() {
    await vault.enableAuth({ mount_point: 'userpass', type: 'userpass' });
    await vault.write('auth/userpass/users/eve', { password: 'correct horse', policies: 'default' });
    await run('userpassLogin', { username: 'eve', password: 'correct horse' });
    await refused(vault.userpassLogin({ username: 'eve', password: 'no' }), 400, 'invalid username or password');
}

async function wrapping() {
    const headers = () => ({ ...requestOptions, headers: { 'X-Vault-Wrap-TTL': '5m' } });
    const wrapped = await vault.read('secret/data/a', headers());
    assert.strictEqual(wrapped.wrap_info.ttl, 300);
    const { token } = wrapped.wrap_info;
    assert.strictEqual((await run('unwrap', { token })).data.data.x, 'y');
    await refused(vault.unwrap({ token }), 400, 'wrapping token is not valid or does not exist');
}

async function leases() {
    // Nothing gives leases that can be renewed, yet.
    await refused(vault.renew({ lease_id: 'none/such' }), 400, 'lease not found');
    tried.add('renew');
    await run('revoke', { lease_id: 'none/such' });
}

async function newRoot(key) {
    await refused(vault.generateRootInit({ otp: 'short' }), 400, 'otp');
    await run('generateRootInit');
    await run('generateRootCancel');
    const { nonce, otp } = await run('generateRootInit');
    const done = await run('generateRootUpdate', { key, nonce });
    const bytes = Buffer.from(done.encoded_root_token, 'base64');
    const other = require('node-vault')({ requestOptions });
    other.token = bytes.map((byte, at) => byte ^ otp.charCodeAt(at)).toString();
    assert.deepStrictEqual((await other.tokenLookupSelf()).data.policies, ['root']);
}

async function seal() {
    await run('seal');
    assert.strictEqual((await run('status')).sealed, true);
    await refused(vault.read('secret/data/a'), 503, 'Vault is sealed');
}

async function all() {
    const key = await operators();
    const parts = { mounts, versions, transit, policies, tokens, approle, people, wrapping, leases, newRoot, seal };
    for (const [name, part] of Object.entries(parts)) {
        await part(key);
        console.log(`node-vault: ${name}: ok`);
    }
    const forgotten = Object.keys(commands).filter((name) => !tried.has(name) && !NOT_THERE.includes(name));
    console.log(`node-vault: ${tried.size} of ${Object.keys(commands).length} commands`);
    assert.deepStrictEqual(forgotten, []);
}

all().catch((error) => {
    console.error(error.message, error.dataPath || error.stack, error.response ? JSON.stringify(error.response) : '');
    process.exit(1);
});
