package store

import (
	"sync"
	"time"
)

// op is one write asked for: all of it is stored, or nothing.
type op struct {
	rows int // about how many rows it writes, at least 1
	run  func(*writer) error
	bare bool        // run in no transaction
	done func(error) // never nil
}

// queue hands operations to the writer in order. It has no bound of its own: see
// Store.Backlog.
type queue struct {
	wake chan struct{} // holds one when ops grew or closed was set

	mu        sync.Mutex
	ops       []op
	rows      int  // in ops and under way
	gathering bool // nobody need be woken before there are maxBatch
	closed    bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// put adds an operation; it reports false, and adds nothing, once closed.
func (q *queue) put(o op) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.ops = append(q.ops, o)
	q.rows += o.rows
	if !q.gathering || q.rows >= maxBatch {
		q.signal()
	}
	return true
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take waits for operations and returns those that came first, at most maxBatch
// rows of them but at least one. If none comes until due, unless that is zero, it
// returns none. It reports false once closed and empty.
func (q *queue) take(due time.Time) (batch []op, open bool) {
	var timer <-chan time.Time
	for {
		if batch, open = q.next(); len(batch) > 0 || !open {
			return batch, open
		}
		if timer == nil && !due.IsZero() {
			t := time.NewTimer(time.Until(due))
			defer t.Stop()
			timer = t.C
		}
		select {
		case <-q.wake:
		case <-timer:
			return nil, true
		}
	}
}

// gather waits a moment for more operations; for less if there are enough, or the queue
// is closed.
func (q *queue) gather(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		q.mu.Lock()
		q.gathering = !q.closed && q.rows < maxBatch
		wait := q.gathering
		q.mu.Unlock()
		if !wait {
			return
		}
		select {
		case <-q.wake:
		case <-timer.C:
			q.mu.Lock()
			q.gathering = false
			q.mu.Unlock()
			return
		}
	}
}

func (q *queue) next() (batch []op, open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, rows := 0, 0
	for n < len(q.ops) && (n == 0 || rows+q.ops[n].rows <= maxBatch) {
		rows += q.ops[n].rows
		n++
	}
	batch = q.ops[:n:n]
	if q.ops = q.ops[n:]; len(q.ops) == 0 {
		q.ops = nil
	}
	return batch, n > 0 || !q.closed
}

// finished says that an operation taken earlier is stored or has failed.
func (q *queue) finished(o op) {
	q.mu.Lock()
	q.rows -= o.rows
	q.mu.Unlock()
}

// backlog returns the rows not yet stored.
func (q *queue) backlog() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.rows
}

// close refuses further operations and reports whether this call was the first.
func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := !q.closed
	q.closed = true
	q.signal()
	return first
}
