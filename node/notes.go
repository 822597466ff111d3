package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"earshot/chat"
	"earshot/chat/alert"
	"earshot/node/desktop"
)

// This file is how the node speaks with the desktop, which may take its time, or never
// answer. Nothing waits for it but the goroutines here.

// noteTimeout bounds how long the desktop may take to show one notification.
const noteTimeout = 10 * time.Second

// notes are the notifications that the desktop is to show or to take back: the newest
// of each key, in the order in which they came. Safe for concurrent use.
type notes struct {
	mu    sync.Mutex
	order []string
	next  map[string]*desktop.Note // nil: to be taken back
	rung  chan struct{}            // capacity 1; nil without a desktop
}

func newNotes(d Desktop) *notes {
	q := &notes{next: map[string]*desktop.Note{}}
	if d != nil {
		q.rung = make(chan struct{}, 1)
	}
	return q
}

func (q *notes) show(n alert.Notify) {
	q.put(n.Key, &desktop.Note{Key: n.Key, Title: n.Title, Body: n.Body, Silent: n.Silent})
}

func (q *notes) withdraw(key string) { q.put(key, nil) }

func (q *notes) put(key string, n *desktop.Note) {
	if q.rung == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	old, waits := q.next[key]
	if !waits {
		q.order = append(q.order, key)
	}
	if n != nil && old != nil && !old.Silent {
		n.Silent = false // it has yet to ring
	}
	q.next[key] = n
	select {
	case q.rung <- struct{}{}:
	default:
	}
}

// take returns what comes next; false for nothing.
func (q *notes) take() (key string, n *desktop.Note, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 {
		return "", nil, false
	}
	key = q.order[0]
	n = q.next[key]
	q.order = q.order[1:]
	delete(q.next, key)
	return key, n, true
}

// showNotes has the desktop show what there is to show.
func (n *Node) showNotes(ctx context.Context) {
	for {
		key, note, ok := n.notes.take()
		if !ok {
			select {
			case <-n.notes.rung:
				continue
			case <-ctx.Done():
				return
			}
		}
		if n.tell(ctx, shown(n.showNote(ctx, key, note), note == nil)) != nil {
			return
		}
	}
}

func (n *Node) showNote(ctx context.Context, key string, note *desktop.Note) error {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	if note == nil {
		return n.cfg.Desktop.Withdraw(ctx, key)
	}
	return n.cfg.Desktop.Show(ctx, *note)
}

// shown notes how the desktop did, for faces to tell why nothing is to be seen.
func shown(err error, withdrawn bool) func(*core) {
	problem := ""
	if errors.Is(err, context.DeadlineExceeded) {
		err = chat.Errorf(chat.CodeUnreachable, "The desktop does not answer. Log out and in again to start its notifications anew.")
	}
	if err != nil {
		problem = chat.AsError(err).Error()
	}
	return func(c *core) {
		if c.alerts.settings.DesktopProblem == problem || withdrawn && err == nil {
			return // that nothing is to be taken back proves nothing
		}
		c.alerts.settings.DesktopProblem = problem
		c.n.feed.Publish(chat.AlertsEvent{Alerts: c.faceAlerts()})
	}
}

// watchDesktop tells the loop whether somebody is at this machine.
func (n *Node) watchDesktop(ctx context.Context) {
	n.cfg.Desktop.Watch(ctx, func(i desktop.Idle) {
		_ = n.tell(ctx, func(c *core) {
			c.idleBy(i.By, i.Problem)
			c.idle(i.Since, i.Locked)
		})
	})
}
