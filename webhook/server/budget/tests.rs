use futures_util::FutureExt as _;

use std::time::Duration;

use super::{super::room::*, *};

const A: Caller = Caller(Some([1; 32]));
const B: Caller = Caller(Some([2; 32]));

fn budget(bytes: usize) -> (Budget, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    (Budget::new(bytes, &metrics), metrics)
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

async fn begin(budget: &Budget, caller: Caller, body: usize) -> Share {
    budget.begin(caller, None, body, deadline()).await.unwrap_or_else(|Busy| panic!("busy"))
}

fn left(share: &Share) -> bool {
    share.left().now_or_never().is_some()
}

fn held(metrics: &Metrics) -> i64 {
    let text = metrics.text();
    let value = text.lines().find_map(|it| it.strip_prefix("verdict_body_bytes_in_flight "));
    value.unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_counted_and_given_back() {
    let (budget, metrics) = budget(10 * REQUEST);
    let one = begin(&budget, A, 4 * REQUEST).await;
    one.take(REQUEST, deadline()).await.unwrap();
    one.take(3 * REQUEST, deadline()).await.unwrap();
    one.give(REQUEST);
    assert_eq!(held(&metrics), signed(4 * REQUEST));
    one.work();
    let answer = one.answer(vec![1; 10]);
    assert_eq!(held(&metrics), signed(REQUEST + 10));
    let part = answer.slice(1..2);
    drop(answer);
    assert_eq!(held(&metrics), signed(REQUEST + 10), "a part of it is still to be sent");
    drop(part);
    assert_eq!(held(&metrics), 0);
    let all = begin(&budget, B, 9 * REQUEST).await;
    all.take(9 * REQUEST, Instant::now()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_lets_the_server_wait_gives_way() {
    let (budget, _metrics) = budget(4 * REQUEST);
    let silent = begin(&budget, A, REQUEST).await;
    silent.take(REQUEST, deadline()).await.unwrap();
    let moves = begin(&budget, A, 0).await;
    let asks = async {
        let new = begin(&budget, A, 2 * REQUEST).await;
        new.take(2 * REQUEST, deadline()).await.unwrap();
        new
    };
    let others = async {
        // The one goes on all the time, the other is silent.
        tokio::select! {
            () = silent.left() => {}
            () = async { loop { tokio::time::sleep(STALL / 4).await; moves.moved(); } } => {}
        }
        drop(silent);
        assert!(!left(&moves));
    };
    tokio::join!(asks, others);
}

#[tokio::test(start_paused = true)]
async fn no_request_takes_what_another_needs_to_come_to_its_end() {
    let (budget, _metrics) = budget(10 * REQUEST);
    let (old, young) = (begin(&budget, A, 6 * REQUEST).await, begin(&budget, A, 6 * REQUEST).await);
    old.take(3 * REQUEST, deadline()).await.unwrap();
    // There is room, but then neither could go on.
    let mut waits = Box::pin(young.take(3 * REQUEST, deadline()));
    assert!(waits.as_mut().now_or_never().is_none());
    let begun = Instant::now();
    old.take(3 * REQUEST, deadline()).await.unwrap();
    // From here on it is known that all comes back. But it has not yet.
    old.work();
    assert!(waits.as_mut().now_or_never().is_none());
    drop(old);
    waits.await.unwrap();
    young.take(3 * REQUEST, deadline()).await.unwrap();
    assert!(begun.elapsed() < LOOK);
}

/// One that is slow but moves must not hold up those whose room is there.
#[tokio::test(start_paused = true)]
async fn a_slow_request_keeps_nobody_from_coming_to_an_end() {
    let (budget, _metrics) = budget(10 * REQUEST);
    let begin = |body: usize| budget.begin(A, Some(Activity::new()), body, deadline());
    let slow = begin(REQUEST).await.unwrap();
    let (large, other) = (begin(6 * REQUEST).await.unwrap(), begin(6 * REQUEST).await.unwrap());
    large.take(3 * REQUEST, deadline()).await.unwrap();
    let begun = Instant::now();
    let others = async {
        tokio::join!(
            async {
                // It would hold less, but then neither could come to its end.
                other.take(3 * REQUEST, deadline()).await.unwrap();
                other.take(3 * REQUEST, deadline()).await.unwrap();
            },
            async {
                large.take(3 * REQUEST, deadline()).await.unwrap();
                large.work();
                drop(large);
            }
        )
    };
    tokio::select! {
        _ = others => {}
        () = async { loop { tokio::time::sleep(STALL / 4).await; slow.moved(); } } => {}
    }
    assert!(begun.elapsed() < STALL, "{:?}", begun.elapsed());
    assert!(!left(&slow));
}

/// Bodies of all sizes at once, of two callers and many connections, with room for the largest only.
#[tokio::test(start_paused = true)]
async fn however_many_come_at_once_each_comes_to_its_end() {
    let (budget, metrics) = budget(65 * REQUEST);
    let requests = (0..400_usize).map(|number| {
        let caller = [A, B][number % 2];
        let size = 1 << (number * 5 % 6);
        let budget = &budget;
        async move {
            // Not all in the same step, nor as fast as each other.
            tokio::time::sleep(Duration::from_millis(number as u64 / 4)).await;
            let deadline = Instant::now() + Duration::from_secs(3600);
            let share = budget.begin(caller, Some(Activity::new()), 2 * size * REQUEST, deadline).await?;
            let mut held = 0;
            while held < size {
                let larger = (held * 2).max(1);
                share.take(larger * REQUEST, deadline).await?;
                share.give(held * REQUEST);
                held = larger;
                tokio::time::sleep(Duration::from_micros(100 * (number as u64 % 5))).await;
                share.moved();
            }
            share.work();
            Ok(())
        }
    });
    let ended: Vec<Result<(), Busy>> = futures_util::future::join_all(requests).await;
    let refused = ended.iter().filter(|it| it.is_err()).count();
    assert_eq!((refused, held(&metrics)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_holds_least_is_served_before_who_holds_most() {
    let (budget, _metrics) = budget(8 * REQUEST);
    let mut greedy = Vec::new();
    for _ in 0..8 {
        greedy.push(begin(&budget, A, 0).await);
    }
    // Another one of the same caller waits; it was first.
    let mut more = Box::pin(budget.begin(A, None, 0, deadline()));
    assert!(more.as_mut().now_or_never().is_none());
    let other = budget.begin(B, None, 0, deadline());
    let gives = async {
        tokio::select! {
            () = greedy[7].left() => {}
            () = async { loop { tokio::time::sleep(STALL / 2).await; greedy.iter().for_each(Share::moved); } } => {}
        }
        greedy.pop();
        // What came free is not for the one that was first.
        assert!(more.as_mut().now_or_never().is_none());
    };
    let (other, ()) = tokio::join!(other, gives);
    assert!(other.is_ok());
    assert!(greedy.iter().all(|share| !left(share)));
}

#[tokio::test(start_paused = true)]
async fn few_wait_and_no_longer_than_their_deadline() {
    let (budget, _metrics) = budget(REQUEST);
    let busy = begin(&budget, A, 0).await;
    busy.work();
    let begun = Instant::now();
    let waiting = (0..MOST_WAITING + 5).map(|_| {
        budget.begin(A, None, 0, begun + Duration::from_secs(3)).map(|it| {
            assert!(it.is_err());
            begun.elapsed()
        })
    });
    let ended = futures_util::future::join_all(waiting).await;
    let at_once = ended.iter().filter(|it| it.is_zero()).count();
    assert_eq!(at_once, 5, "{ended:?}");
    assert_eq!(*ended.iter().max().unwrap(), Duration::from_secs(3));
    // Few of one connection, since its window holds what they do not read.
    let connection = Activity::new();
    let waiting = (0..MOST_WAITING_BESIDE + 1)
        .map(|_| budget.begin(A, Some(Arc::clone(&connection)), 0, Instant::now() + STALL / 2));
    let begun = Instant::now();
    let ended = futures_util::future::join_all(waiting.map(|it| it.map(|_| begun.elapsed()))).await;
    assert_eq!(ended.iter().filter(|it| it.is_zero()).count(), 1, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_costs_the_connection_when_others_need_the_room() {
    let (budget, _metrics) = budget(2 * REQUEST);
    let connection = Activity::new();
    let unread = budget.begin(A, Some(Arc::clone(&connection)), 0, deadline()).await.unwrap();
    unread.work();
    let answer = unread.answer(vec![0; REQUEST]);
    let other = budget.begin(A, None, 0, deadline());
    let begun = Instant::now();
    let ends = async {
        connection.ended().await;
        drop(answer);
    };
    let (other, ()) = tokio::join!(other, ends);
    assert!(other.is_ok());
    assert!(begun.elapsed() >= STALL_READING * OWN && begun.elapsed() <= STALL_READING * OWN + LOOK);
}

#[tokio::test(start_paused = true)]
async fn of_one_caller_the_connection_that_holds_least_is_served_first() {
    let (budget, _metrics) = budget(8 * REQUEST);
    let (greedy, modest) = (Activity::new(), Activity::new());
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(budget.begin(A, Some(Arc::clone(&greedy)), 0, deadline()).await.unwrap());
    }
    let modest = budget.begin(A, Some(modest), 0, deadline());
    let gives = async {
        // None of them is silent: what counts is that they are many.
        tokio::select! {
            () = held[7].left() => {}
            () = async { loop { tokio::time::sleep(STALL / 2).await; held.iter().for_each(Share::moved); } } => {}
        }
        held.pop();
    };
    let (modest, ()) = tokio::join!(modest, gives);
    assert!(modest.is_ok());
    assert!(held.iter().all(|share| !left(share)));
}
