package store

import "sync"

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
	mu     sync.Mutex
	wake   sync.Cond // signalled when ops grows or closed is set
	ops    []op
	rows   int // in ops and under way
	closed bool
}

func newQueue() *queue {
	q := &queue{}
	q.wake.L = &q.mu
	return q
}

// put adds an operation; it reports false, and adds nothing, once closed.
func (q *queue) put(o op) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.ops = append(q.ops, o)
	q.rows += o.rows
	q.wake.Signal()
	return true
}

// take waits for operations and returns those that came first, at most maxBatch
// rows of them but at least one. It returns nothing once closed and empty.
func (q *queue) take() []op {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ops) == 0 && !q.closed {
		q.wake.Wait()
	}
	n, rows := 0, 0
	for n < len(q.ops) && (n == 0 || rows+q.ops[n].rows <= maxBatch) {
		rows += q.ops[n].rows
		n++
	}
	batch := q.ops[:n:n]
	if q.ops = q.ops[n:]; len(q.ops) == 0 {
		q.ops = nil
	}
	return batch
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
	q.wake.Signal()
	return first
}
