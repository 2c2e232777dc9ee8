//! release-svc
