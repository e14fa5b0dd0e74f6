//! How long a task may keep its thread: admission's work on a connection's thread ends after a millisecond.
//!
//! A turn is one poll of a task. [`Turns`] notes when each begins and whose thread it is on; work that is made of many
//! steps asks between them with [`pause`]. Outside of [`Turns`] nobody waits for the thread, and nothing pauses.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// A task, of which each turn is timed.
pub struct Turns<F> {
    task: Pin<Box<F>>,
    /// Whether the next turn is on a thread of somebody else.
    borrowed: bool,
}

/// One turn of a task.
#[derive(Clone, Copy)]
struct Turn {
    end: Instant,
    borrowed: bool,
}

thread_local! {
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
}

impl<F: Future> Turns<F> {
    /// `borrowed`: its first turn is on a thread that others need, so what takes long must not begin there.
    pub fn new(task: F, borrowed: bool) -> Self {
        Self { task: Box::pin(task), borrowed }
    }

    /// The first turn, on the thread of whoever awaits it. Err: the rest of the task, for other threads.
    pub async fn first(mut self) -> Result<F::Output, Self> {
        match poll_fn(|context| Poll::Ready(Pin::new(&mut self).poll(context))).await {
            Poll::Ready(done) => Ok(done),
            Poll::Pending => Err(self),
        }
    }
}

impl<F: Future> Future for Turns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let borrowed = std::mem::take(&mut self.borrowed);
        let _turn = Entered(TURN.replace(Some(Turn { end: Instant::now() + LENGTH, borrowed })));
        self.task.as_mut().poll(context)
    }
}

/// Ends a turn, after a panic too.
struct Entered(Option<Turn>);

impl Drop for Entered {
    fn drop(&mut self) {
        TURN.set(self.0);
    }
}

/// Lets others run if this turn has taken its time.
pub async fn pause() {
    if TURN.get().is_some_and(|turn| Instant::now() >= turn.end) {
        end().await;
    }
}

/// Before what may take long: goes on in a turn that is on no borrowed thread.
pub async fn leave() {
    if TURN.get().is_some_and(|turn| turn.borrowed) {
        end().await;
    }
}

/// When what runs now must stop to go on elsewhere. None: it may go on here.
pub fn must_leave_at() -> Option<Instant> {
    TURN.get().filter(|turn| turn.borrowed).map(|turn| turn.end)
}

/// Gives the thread away once.
async fn end() {
    let mut ended = false;
    poll_fn(|context| {
        if std::mem::replace(&mut ended, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Of a turn. What takes longer was slow before it came here.
pub const LENGTH: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn many_slow_steps_share_one_turn() {
        let steps = AtomicUsize::new(0);
        let step = async || {
            pause().await;
            thread::sleep(LENGTH);
            steps.fetch_add(1, Ordering::Relaxed);
        };
        // Side by side as policies are asked: the first turn ends for all of them.
        let task = Turns::new(join_all((0..20).map(|_| step())), true);
        let rest = task.first().await.err().unwrap();
        assert_eq!(steps.load(Ordering::Relaxed), 1);
        rest.await;
        assert_eq!(steps.load(Ordering::Relaxed), 20);
    }

    #[tokio::test]
    async fn a_borrowed_thread_is_left_once() {
        let task = Turns::new(
            async {
                assert!(must_leave_at().is_some());
                leave().await;
                assert!(must_leave_at().is_none());
                leave().await;
                7
            },
            true,
        );
        assert_eq!(task.first().await.err().unwrap().await, 7);
        assert!(must_leave_at().is_none());
        assert_eq!(Turns::new(async { 7 }, true).first().await.ok(), Some(7));
        leave().await;
        pause().await;
    }
}
