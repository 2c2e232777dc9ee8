//! How much of each limit is used, in total and by each client network.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{Client, Limits, Shared};

/// A limited resource.
#[derive(Debug, Clone, Copy)]
pub(super) enum Resource {
    /// Requests being processed.
    Requests,
    /// Requests with incomplete bodies.
    Arriving,
    BodyBytes,
    AnswerBytes,
}

/// The current usage, of one client network or in total.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Connections with a request.
    pub(super) busy: AtomicUsize,
    requests: AtomicUsize,
    arriving: AtomicUsize,
    body_bytes: AtomicUsize,
    answer_bytes: AtomicUsize,
}

impl Load {
    pub(super) fn of(&self, resource: Resource) -> &AtomicUsize {
        match resource {
            Resource::Requests => &self.requests,
            Resource::Arriving => &self.arriving,
            Resource::BodyBytes => &self.body_bytes,
            Resource::AnswerBytes => &self.answer_bytes,
        }
    }
}

impl Limits {
    fn of(&self, resource: Resource) -> usize {
        match resource {
            Resource::Requests | Resource::Arriving => self.requests,
            Resource::BodyBytes => self.body_bytes,
            Resource::AnswerBytes => self.answer_bytes,
        }
    }
}

/// The limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The client's share.
    Share,
    /// The total.
    Whole,
}

/// A used part of a limit; released when it is dropped.
#[derive(Debug)]
pub(super) struct Usage {
    shared: Arc<Shared>,
    client: Arc<Client>,
    resource: Resource,
    amount: usize,
}

impl Usage {
    /// Creates an empty usage.
    pub(super) fn nothing(shared: &Arc<Shared>, client: &Arc<Client>, resource: Resource) -> Self {
        Self {
            shared: Arc::clone(shared),
            client: Arc::clone(client),
            resource,
            amount: 0,
        }
    }

    /// Uses more of the limit.
    ///
    /// # Errors
    /// If the limit is reached; then the usage is unchanged.
    pub(super) fn grow(&mut self, more: usize) -> Result<(), Full> {
        let limits = &self.shared.limits;
        let limit = limits.of(self.resource);
        let share = self.client.share(limits, limit);
        self.amount += more;
        let add = |load: &Load| load.of(self.resource).fetch_add(more, Ordering::Relaxed) + more;
        let (whole, own) = (add(&self.shared.totals), add(&self.client.load));
        // A single use is never too large: any single answer must be possible.
        let fits = |now: usize, limit: usize| now <= limit || now == self.amount;
        let full = match (fits(own, share), fits(whole, limit)) {
            (true, true) => return Ok(()),
            (false, _) => Full::Share,
            (true, false) => Full::Whole,
        };
        self.give_back(more);
        Err(full)
    }

    fn give_back(&mut self, less: usize) {
        self.amount -= less;
        for load in [&self.shared.totals, &self.client.load] {
            load.of(self.resource).fetch_sub(less, Ordering::Relaxed);
        }
    }
}

impl Drop for Usage {
    fn drop(&mut self) {
        self.give_back(self.amount);
    }
}
