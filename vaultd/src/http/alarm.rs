//! One timer for all that a connection waits for. What is waited for is nearly always there long before
//! its time, so a timer for each wait would be set and taken back for nothing: this one is set again
//! only when it goes off too early, or would go off too late.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// Its clones are one timer. Only one wait at a time is woken.
#[derive(Clone, Default)]
pub(super) struct Alarm(Arc<Mutex<Option<Pin<Box<tokio::time::Sleep>>>>>);

impl Alarm {
    /// `None` if the work takes longer than that. Costs nothing if it is ready at once.
    pub(super) async fn within<F: Future + Unpin>(
        &self,
        time: Duration,
        mut work: F,
    ) -> Option<F::Output> {
        let mut deadline = None;
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = Pin::new(&mut work).poll(context) {
                return Poll::Ready(Some(output));
            }
            let deadline = *deadline.get_or_insert_with(|| now() + time);
            self.poll(deadline, context).map(|()| None)
        })
        .await
    }

    fn poll(&self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let mut timer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// The runtime's clock.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

struct Wait {
    alarm: Alarm,
    deadline: Instant,
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.alarm.poll(self.deadline, context)
    }
}

impl Sleep for Wait {}

impl Timer for Alarm {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let alarm = self.clone();
        Box::pin(Wait { alarm, deadline })
    }

    fn now(&self) -> Instant {
        now()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn every_wait_ends_at_its_own_time_whatever_was_waited_for_before() {
        let alarm = Alarm::default();
        let millis = Duration::from_millis;
        assert_eq!(alarm.within(millis(9), ready(1)).await, Some(1));
        for time in [30, 120, 30, 15, 120, 20].map(millis) {
            let work = Box::pin(tokio::time::sleep(millis(5)));
            assert!(alarm.within(millis(60_000), work).await.is_some());
            let start = now();
            assert_eq!(alarm.within(time, pending::<()>()).await, None);
            assert!(now() - start >= time);
            let start = now();
            alarm.sleep(time).await;
            assert!(now() - start >= time);
            // Far from the minute that was waited for in between.
            assert!(now() - start < millis(30_000));
        }
    }
}
