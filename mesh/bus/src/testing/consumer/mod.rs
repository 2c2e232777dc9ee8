//! The contract of the consumer runner, for every adapter.

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
            a_transient_failure_keeps_the_order_and_makes_no_dead_letter
            a_poisoned_record_becomes_a_dead_letter_and_the_others_are_handled
            a_handler_that_panics_twice_makes_a_dead_letter
            a_group_is_unhealthy_until_its_topics_exist
            a_group_is_unhealthy_if_its_own_topic_has_other_partitions
            a_group_is_unhealthy_while_it_cannot_publish_dead_letters
            an_event_that_succeeds_after_two_retries_has_one_effect
            an_event_that_always_fails_becomes_a_dead_letter_after_all_retries
            in_an_ordered_group_a_retryable_event_blocks_the_others
            a_crash_between_effect_and_commit_repeats_no_effect
            a_replayed_dead_letter_is_handled_by_its_group
            an_ordered_group_handles_a_replayed_dead_letter
            records_are_collected_after_a_failure_and_from_new_topics
            a_rebalance_in_the_middle_of_a_batch_loses_and_repeats_no_effect
        } on $stage);
    };
}
