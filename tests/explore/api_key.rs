//! What src/engine/api_key asks of the service, request by request, and what it makes of the answers.
//!
//! It mirrors mod.rs there; `strays` and `of_token` are the rules of keys.rs.

use secret_rotation::{
    document::Document,
    engine::{EngineError, Login, Minting},
};

use crate::{
    calls::{Answer, Call, Credential, Version},
    line::{Line, number},
    postgres::lost,
};

/// For each number the version that the key was made for.
pub(crate) type Keys = [Option<Version>; 10];

pub(crate) fn of_token(keys: &Keys, token: Version) -> Vec<u8> {
    let made = |id: &u8| keys[usize::from(*id)] == Some(token);
    (0..keys.len() as u8).filter(made).collect()
}

/// What rotations that came to nothing have left.
pub(crate) fn strays(keys: &Keys, token: Version, needed: &[u8]) -> Vec<u8> {
    let stray =
        |id: &u8| keys[usize::from(*id)].is_some_and(|made| made != token) && !needed.contains(id);
    (0..keys.len() as u8).filter(stray).collect()
}

impl Line<'_> {
    pub(crate) async fn list(&self) -> Result<Keys, EngineError> {
        match self.ask(Call::List).await {
            Answer::Keys(keys) => Ok(keys),
            _ => Err(lost()),
        }
    }

    /// False if there is no such key.
    pub(crate) async fn delete(&self, key: u8) -> Result<bool, EngineError> {
        match self.ask(Call::Delete(key)).await {
            Answer::Done => Ok(true),
            Answer::NoSuchKey => Ok(false),
            _ => Err(lost()),
        }
    }

    /// Deletes a key that was current; "no such key" is believed only if it is good no longer.
    pub(crate) async fn end_key(&self, key: Credential) -> Result<(), EngineError> {
        if self.delete(key.user).await? {
            return Ok(());
        }
        match self.login(key).await? {
            Login::Rejected => Ok(()),
            Login::Accepted(_) => Err(EngineError::StillAccepted {
                server: "h:443".to_owned(),
                user: key.user.to_string(),
            }),
        }
    }

    pub(crate) async fn make(&self, minting: &Minting<'_>) -> Result<Document, EngineError> {
        let (token, current) = (number(minting.token), minting.current);
        let keys = self.list().await?;
        let mut needed = vec![self.credential(current).user];
        needed.extend(
            minting
                .previous
                .map(|previous| self.credential(previous).user),
        );
        for stray in strays(&keys, token, &needed) {
            self.delete(stray).await?;
        }
        if let Some(previous) = minting.previous
            && !minting.overlaps
        {
            self.end_key(self.credential(previous)).await?;
        }
        let mut made = self.ask(Call::Make(token)).await;
        let orphans = of_token(&keys, token);
        if made == Answer::Refused && !orphans.is_empty() {
            for orphan in orphans {
                self.delete(orphan).await?;
            }
            made = self.ask(Call::Make(token)).await;
        }
        match made {
            Answer::Made(key) => {
                let (id, key) = (key.to_string(), key.to_string().into());
                Ok(current.with_user(id, key, minting.overlap))
            }
            Answer::Refused => Err(EngineError::NoRoom {
                server: "h:443".to_owned(),
                status: 409,
            }),
            _ => Err(lost()),
        }
    }

    pub(crate) async fn settle_keys(
        &self,
        minting: &Minting<'_>,
        stored: &Document,
        minted: Option<&Document>,
    ) -> Result<(), EngineError> {
        let keys = self.list().await?;
        let stored = self.credential(stored).user;
        let minted = minted.map(|minted| self.credential(minted).user);
        let listed = of_token(&keys, number(minting.token));
        for key in listed.into_iter().chain(minted) {
            if key != stored {
                self.delete(key).await?;
            }
        }
        Ok(())
    }
}
