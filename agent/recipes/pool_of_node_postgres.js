// A pool of node-postgres that follows rotations: each new connection logs in with the user and the password that are current then.
//
// Needs pg 8 and @aws-sdk/client-secrets-manager. AWS_ENDPOINT_URL_SECRETS_MANAGER leads the SDK to the agent.

const { Client, Pool } = require('pg');
const { SecretsManagerClient, GetSecretValueCommand } = require('@aws-sdk/client-secrets-manager');

const secrets = new SecretsManagerClient({});

const last = {};

// V8's own error would quote the text.
function parsed(secretId, text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`the secret ${secretId} is no JSON object`);
  }
}

// All of one version. The agent answers from its cache. While it is away, the last version serves.
async function login(secretId) {
  try {
    const { SecretString } = await secrets.send(new GetSecretValueCommand({ SecretId: secretId }));
    last[secretId] = SecretString;
  } catch (error) {
    // the service's refusal, or no answer yet
    if (error.$fault || !last[secretId]) throw error;
  }
  const { host, port, dbname: database, username: user, password } = parsed(secretId, last[secretId]);
  return { host, port, database, user, password };
}

// An open connection outlives a rotation, for `maxLifetimeSeconds`. (pg calls a `password` function after it has sent the user, so the
// function may return the other user's password.)
function pool(secretId, settings = {}) {
  class Following extends Client {
    connect(done) {
      const connected = login(secretId).then((found) => {
        Object.assign(this, found);
        Object.assign(this.connectionParameters, found);
        return super.connect();
      });
      return done ? connected.then(() => done(), done) : connected;
    }
  }
  return new Pool({ ssl: true, maxLifetimeSeconds: 3600, ...settings, Client: Following });
}

module.exports = { pool };
