//! Authentication and authorization of calls.
//!
//! Tokens are EdDSA JWTs ([`token`]), signed with keys from a file ([`keys`]) and verified by each
//! service itself ([`verifier`]). The contracts declare which roles each method requires, and one
//! layer in front of every service enforces it ([`policy`], [`layer`]): deny by default. A process
//! that stores the accounts accepts a token only while its account exists ([`accounts`]). A process
//! of the mesh that acts for itself sends a service token ([`service`]). Streamed answers are
//! limited in number, and end when their caller's token expires ([`streams`]). Tokens of sessions
//! that have ended are refused ([`ended`]). A program sends a token that lasts for months, and that
//! may have less than the rights of its account ([`programs`]). Calls of one account and of one
//! address are limited ([`rates`]).

pub mod accounts;
pub mod ended;
pub mod exchange;
pub mod keys;
pub mod layer;
pub mod policy;
pub mod principal;
pub mod programs;
pub mod rates;
pub mod service;
pub mod streams;
pub mod token;
pub mod verifier;

pub use accounts::Accounts;
pub use ended::{EndedSession, EndedSessions, SessionWatch};
pub use exchange::Exchanges;
pub use keys::Keyring;
pub use layer::{AccessLayer, bearer, principal};
pub use policy::Policies;
pub use principal::{Principal, Role, Scope};
pub use programs::ProgramTokens;
pub use rates::{CallRates, Rates};
pub use service::{ServiceSecret, ServiceTokens};
pub use streams::{OpenStream, StreamLimits};
pub use token::{Issuer, SessionClaim, Token};
pub use verifier::{JwksSource, TokenError, Verifier};
