//! Who may call what.
//!
//! Tokens are EdDSA JWTs ([`token`]), signed with keys from a file ([`keys`]) and verified
//! by every service for itself ([`verifier`]). Which method needs what is declared in the contracts and enforced by one layer in front of
//! every service ([`policy`], [`layer`]): deny by default. Where the accounts are at hand, a token
//! counts only as long as its account is there ([`accounts`]). Processes of the mesh that act
//! for themselves show a service token ([`service`]). Answers that are streams are counted, and
//! end with their caller's token ([`streams`]).

pub mod accounts;
pub mod keys;
pub mod layer;
pub mod policy;
pub mod principal;
pub mod service;
pub mod streams;
pub mod token;
pub mod verifier;

pub use accounts::Accounts;
pub use keys::Keyring;
pub use layer::{AccessLayer, bearer, principal};
pub use policy::Policies;
pub use principal::{Principal, Role};
pub use service::{ServiceSecret, ServiceTokens};
pub use streams::{OpenStream, StreamLimits};
pub use token::{Issuer, Token};
pub use verifier::{JwksSource, TokenError, Verifier};
