package store

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheQueueBoundsBatches(t *testing.T) {
	q := newQueue()
	for _, rows := range []int{1, 2, maxBatch - 3, 1, maxBatch + 1, 1} {
		q.put(op{rows: rows})
	}
	if got, want := q.backlog(), 2*maxBatch+3; got != want {
		t.Fatalf("backlog = %d, want %d", got, want)
	}
	q.close()
	if q.put(op{rows: 1}) {
		t.Fatal("a closed queue takes operations")
	}
	var sizes []int
	for batch, open := q.take(time.Time{}); open; batch, open = q.take(time.Time{}) {
		sizes = append(sizes, len(batch))
		for _, o := range batch {
			q.finished(o)
		}
	}
	// An operation larger than a batch is one of its own.
	if want := []int{3, 1, 1, 1}; !slices.Equal(sizes, want) {
		t.Fatalf("batches of %v operations, want %v", sizes, want)
	}
	if got := q.backlog(); got != 0 {
		t.Fatalf("backlog = %d when all is done", got)
	}
}

// An idle writer takes the first operation at once, without waiting for others.
func TestTheQueueDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		taken := make(chan int)
		go func() {
			defer close(taken)
			for batch, open := q.take(time.Time{}); open; batch, open = q.take(time.Time{}) {
				taken <- len(batch)
			}
		}()
		synctest.Wait() // the taker is idle
		q.put(op{rows: 1})
		synctest.Wait() // no clock moves in here: a timer would not fire
		select {
		case n := <-taken:
			if n != 1 {
				t.Errorf("took %d operations, want 1", n)
			}
		default:
			t.Error("the operation waits for something")
		}
		q.put(op{rows: 1})
		q.put(op{rows: 1})
		if n := <-taken; n < 1 {
			t.Errorf("took %d operations", n)
		}
		q.close()
		for range taken { // until the taker has ended
		}
	})
}

// Who gathers waits for no more than there is room for, and not for a closed queue.
func TestTheQueueGathersForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		begin := time.Now()
		gather := func(meanwhile func()) (took time.Duration) {
			done := make(chan struct{})
			before := time.Now()
			go func() {
				defer close(done)
				q.gather(time.Second)
			}()
			synctest.Wait()
			meanwhile()
			<-done
			return time.Since(before)
		}
		if took := gather(func() { q.put(op{rows: 1}); q.put(op{rows: 1}) }); took != time.Second {
			t.Errorf("gathered for %v, want 1s", took)
		}
		if batch, _ := q.take(time.Time{}); len(batch) != 2 {
			t.Errorf("took %d operations of 2 that gathered", len(batch))
		} else {
			for _, o := range batch {
				q.finished(o)
			}
		}
		if took := gather(func() { q.put(op{rows: maxBatch}) }); took != 0 {
			t.Errorf("gathered for %v when there was enough", took)
		}
		if took := gather(func() {}); took != 0 {
			t.Errorf("gathered for %v when there was enough before", took)
		}
		batch, _ := q.take(time.Time{})
		q.finished(batch[0])
		if took := gather(func() { q.close() }); took != 0 {
			t.Errorf("gathered for %v when closed", took)
		}
		if _, open := q.take(time.Time{}); open || time.Since(begin) != time.Second {
			t.Error("an empty, closed queue is open, or something else waited")
		}
	})
}
