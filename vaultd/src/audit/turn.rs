//! Letting others go first, so that one write takes the records of many.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

#[derive(Default)]
struct Turn {
    come: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.come.store(true, Ordering::Release);
        self.task.wake();
    }
}

/// Returns when the tasks that were ready have run. [`tokio::task::yield_now`] alone ends with the next
/// poll, whoever asks for it: an HTTP connection polls its service twice in a row.
pub(super) async fn others_first() {
    let turn = Arc::new(Turn::default());
    let mut asked = false;
    std::future::poll_fn(|context| {
        turn.task.register(context.waker());
        if turn.come.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        if !std::mem::replace(&mut asked, true) {
            let waker = Waker::from(Arc::clone(&turn));
            let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&waker));
        }
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_poll_that_nobody_asked_for_does_not_end_it() {
        let ran = Cell::new(false);
        let first = async {
            let mut turn = pin!(others_first());
            let again = |context: &mut Context<'_>| {
                let first = turn.as_mut().poll(context);
                if first.is_ready() {
                    first
                } else {
                    turn.as_mut().poll(context)
                }
            };
            std::future::poll_fn(again).await;
            assert!(ran.get(), "the other task has run");
        };
        let other = async { ran.set(true) };
        tokio::join!(first, other);
    }
}
