//! Property test of the transition from missed entries to live entries in the activity stream.

use gateway::StreamConfig;
use proptest::prelude::*;

use crate::support::Gateway;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A client gets every number once, in order, whatever happens while it catches up.
    #[test]
    fn there_is_no_gap_or_repeat_between_missed_and_live_entries(
        before in 0_usize..30,
        after in 0_u64..30,
        page in 1_u16..6,
        growth in prop::collection::vec((0_usize..4, 0_usize..4), 0..8),
        held in any::<bool>(),
        filtered in any::<bool>(),
        later in 1_usize..6,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let gateway = Gateway::with_stream(StreamConfig {
                catch_up_page: page,
                ..StreamConfig::default()
            });
            gateway.log.grow(before);
            drop(gateway.stream("", None).await);
            if held {
                // The hub falls behind what pages show.
                gateway.log.hold_at(before as u64);
            }
            gateway.log.grow_while_listed(growth);
            let after = after.min(before as u64);
            let query = if filtered { "?type=task.*" } else { "" };
            let mut reader = gateway.stream(query, Some(after)).await;
            let wanted = |after: u64, newest: u64| -> Vec<u64> {
                (after + 1..=newest).filter(|n| !filtered || n % 3 != 0).collect()
            };
            // Reads all old entries, then the new ones.
            let first = wanted(after, before as u64);
            assert_eq!(reader.numbers(first.len()).await, first);
            gateway.log.hold_at(u64::MAX);
            gateway.log.grow(later + 2);
            let second = wanted(before as u64, gateway.log.newest());
            assert_eq!(reader.numbers(second.len()).await, second);
        });
    }
}
