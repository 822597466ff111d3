package desktop

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"

	"earshot/chat"
)

// This file shows notifications as the Desktop Notifications Specification 1.2 has
// them. github.com/gen2brain/beeep does so, too, but can't replace one by another; on
// Windows it writes a stranger's text unescaped into XML and a PowerShell script.

const (
	notifications12 = "org.freedesktop.Notifications"
	notifyPath      = "/org/freedesktop/Notifications"
)

// Urgency of a notification: one that only changes what is shown is not worth a banner.
const (
	urgencyLow    = byte(0)
	urgencyNormal = byte(1)
)

// notifications are those that this process has had shown. Safe for concurrent use.
type notifications struct {
	mu     sync.Mutex // also for ids; held while the desktop is waited for
	conn   *dbus.Conn
	closed chan *dbus.Signal
	ids    map[string]uint32 // of what is shown, by key
}

func newNotifications() *notifications { return &notifications{ids: map[string]uint32{}} }

func (d *Desktop) show(ctx context.Context, note Note) error {
	q := d.notes
	q.mu.Lock()
	defer q.mu.Unlock()
	err := q.open(ctx, d)
	if err != nil {
		return chat.Wrap(chat.CodeUnreachable, err, "No desktop session runs here that could show notifications.",
			"Log in to a desktop, or turn them off: earshot alerts desktop off")
	}
	before := q.ids[note.Key]
	if note.Silent && before == 0 {
		return nil // the person has closed it
	}
	server := q.conn.Object(notifications12, notifyPath)
	var can []string
	if err := server.CallWithContext(ctx, notifications12+".GetCapabilities", 0).Store(&can); err != nil {
		return noServer(err)
	}
	body := note.Body
	if slices.Contains(can, "body-markup") {
		body = escape(body)
	}
	urgency := urgencyNormal
	if note.Silent {
		urgency = urgencyLow
	}
	hints := map[string]dbus.Variant{
		"urgency": dbus.MakeVariant(urgency), "category": dbus.MakeVariant("im.received"),
		"suppress-sound": dbus.MakeVariant(note.Silent),
	}
	var id uint32
	err = server.CallWithContext(ctx, notifications12+".Notify", 0,
		"Earshot", before, "", note.Title, body, []string{}, hints, int32(-1)).Store(&id)
	if err != nil {
		return noServer(err)
	}
	q.ids[note.Key] = id
	return nil
}

func (d *Desktop) withdraw(ctx context.Context, key string) error {
	q := d.notes
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drain()
	id := q.ids[key]
	if delete(q.ids, key); id == 0 || q.conn == nil || !q.conn.Connected() {
		return nil
	}
	err := q.conn.Object(notifications12, notifyPath).
		CallWithContext(ctx, notifications12+".CloseNotification", dbus.FlagNoAutoStart, id).Err
	var refused dbus.Error
	if errors.As(err, &refused) { // it is not shown any more
		return nil
	}
	return err
}

// open connects to the session's bus, unless that has been done. q.mu is held.
func (q *notifications) open(ctx context.Context, d *Desktop) error {
	if q.conn != nil && q.conn.Connected() {
		q.drain()
		return nil
	}
	clear(q.ids) // of another session
	opening, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, err := d.sessionBus(opening)
	if err != nil {
		return err
	}
	q.conn, q.closed = conn, make(chan *dbus.Signal, 16)
	conn.Signal(q.closed)
	return conn.AddMatchSignalContext(opening, dbus.WithMatchInterface(notifications12), dbus.WithMatchMember("NotificationClosed"))
}

// drain forgets what the person has closed. q.mu is held.
func (q *notifications) drain() {
	for {
		select {
		case sig, ok := <-q.closed:
			if !ok {
				return
			}
			var id, reason uint32
			if dbus.Store(sig.Body, &id, &reason) != nil {
				continue
			}
			for key, shown := range q.ids {
				if shown == id {
					delete(q.ids, key)
				}
			}
		default:
			return
		}
	}
}

// end gives up the connection. What is shown stays.
func (q *notifications) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.conn != nil {
		_ = q.conn.Close()
	}
}

// noServer says in a sentence why a notification is not shown.
func noServer(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return chat.Wrap(chat.CodeUnreachable, err, "No program on this desktop shows notifications.",
		"Start one that does, such as dunst or mako, or turn them off: earshot alerts desktop off")
}

// escape makes of plain text what shows as that where there is markup.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
