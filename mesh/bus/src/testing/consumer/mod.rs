//! What the consumer runner does, on every adapter.

mod collecting;
mod delivery;
mod failing;
mod health;
pub mod play;
mod replaying;

pub use collecting::*;
pub use delivery::*;
pub use failing::*;
pub use health::*;
pub use replaying::*;

/// Runs the suite on a stage.
#[macro_export]
macro_rules! consumer_contract {
    ($stage:block) => {
        $crate::run_suite!($crate::testing::consumer {
            events_are_handled_in_order_and_once_across_a_restart
            while_what_it_needs_is_away_nothing_overtakes_and_nothing_is_put_aside
            a_poisoned_record_is_a_dead_letter_and_the_rest_goes_on
            a_handler_that_panics_twice_makes_a_dead_letter
            a_group_whose_topics_are_not_there_says_so_until_they_are
            a_group_whose_own_topic_is_another_says_so
            while_nothing_can_be_put_aside_a_group_says_so
            what_fails_twice_and_then_succeeds_has_its_effect_once
            what_always_fails_uses_its_retries_up
            where_order_matters_a_retryable_event_holds_up_the_others
            a_crash_between_effect_and_commit_repeats_no_effect
            a_replayed_letter_is_handled_by_its_group
            where_order_matters_a_replayed_letter_is_handled_as_well
            what_is_collected_is_kept_once_it_can_be_also_from_topics_that_come_later
            a_rebalance_in_the_middle_of_a_batch_loses_and_repeats_no_effect
        } on $stage);
    };
}
