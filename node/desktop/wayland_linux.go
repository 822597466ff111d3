package desktop

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// This file is a client of the Wayland protocol ext-idle-notify-v1, and of as much of
// Wayland's core as leads there. The compositor tells when nobody has touched anything
// for Rest, and when somebody does again; what it has told is read when it is asked for.

// errWayland is why a compositor is not asked.
var errWayland = errors.New("wayland")

// The objects of a connection are numbered by whoever makes them.
const (
	wlDisplay = 1 + iota
	wlRegistry
	wlFirstSync // called back when the globals were told
	wlSeat
	wlNotifier
	wlNotification
	wlSecondSync // when the notification is in force
)

// maxWayland bounds what a compositor may tell before it has answered, in bytes (guess:
// the globals of one take 4 KiB).
const maxWayland = 1 << 20

// compositor is a connection to a Wayland compositor. It belongs to one goroutine.
type compositor struct {
	conn   net.Conn
	buf    []byte // read and not yet understood
	seat   wlGlobal
	notify wlGlobal
	synced uint32    // the last callback that was called
	idled  time.Time // when nobody had touched anything for Rest; zero while somebody does
}

// wlGlobal is what a compositor offers.
type wlGlobal struct{ name, version uint32 }

// waylandSocket returns where the compositor of this session listens. A service of the
// system's does not know its name, which is mostly one of two.
func (d *Desktop) waylandSocket() (string, error) {
	names := []string{d.getenv("WAYLAND_DISPLAY")}
	if names[0] == "" {
		names = []string{"wayland-0", "wayland-1"}
	}
	for _, name := range names {
		path := name
		if !filepath.IsAbs(name) {
			path = filepath.Join(d.runtimeDir(), name)
		}
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: no compositor listens", errWayland)
}

func (d *Desktop) openWayland(ctx context.Context) (asker, error) {
	path, err := d.waylandSocket()
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	c := &compositor{conn: conn}
	if err := c.start(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// start has the compositor tell from now on.
func (c *compositor) start(ctx context.Context) error {
	late, ok := ctx.Deadline()
	if !ok {
		late = time.Now().Add(answerTime)
	}
	_ = c.conn.SetDeadline(late)
	const sync, getRegistry, bind = 0, 1, 0
	hello := append(wlMessage(wlDisplay, getRegistry, wlUint(wlRegistry)), wlMessage(wlDisplay, sync, wlUint(wlFirstSync))...)
	if _, err := c.conn.Write(hello); err != nil {
		return err
	}
	if err := c.until(wlFirstSync); err != nil {
		return err
	}
	if c.seat.version == 0 || c.notify.version == 0 {
		return fmt.Errorf("%w: the compositor does not tell whether somebody is there", errWayland)
	}
	// The second version can leave aside who keeps the screen awake, such as a film.
	version, get := uint32(1), uint16(1)
	if c.notify.version >= 2 {
		version, get = 2, 2
	}
	millis := uint32(Rest / time.Millisecond)
	ask := wlMessage(wlRegistry, bind, wlUint(c.seat.name), wlString("wl_seat"), wlUint(1), wlUint(wlSeat))
	ask = append(ask, wlMessage(wlRegistry, bind, wlUint(c.notify.name), wlString("ext_idle_notifier_v1"), wlUint(version), wlUint(wlNotifier))...)
	ask = append(ask, wlMessage(wlNotifier, get, wlUint(wlNotification), wlUint(millis), wlUint(wlSeat))...)
	ask = append(ask, wlMessage(wlDisplay, sync, wlUint(wlSecondSync))...)
	if _, err := c.conn.Write(ask); err != nil {
		return err
	}
	return c.until(wlSecondSync)
}

// until reads until a callback is called.
func (c *compositor) until(callback uint32) error {
	for read := 0; c.synced != callback; {
		n, err := c.read()
		if err != nil {
			return err
		}
		if read += n; read > maxWayland {
			return fmt.Errorf("%w: the compositor does not come to an end", errWayland)
		}
	}
	return nil
}

// read reads once, and understands what is whole.
func (c *compositor) read() (int, error) {
	var b [4096]byte
	n, err := c.conn.Read(b[:])
	if n == 0 && err != nil {
		return 0, err
	}
	c.buf = append(c.buf, b[:n]...)
	for len(c.buf) >= 8 {
		object, word := binary.NativeEndian.Uint32(c.buf), binary.NativeEndian.Uint32(c.buf[4:])
		size := int(word >> 16)
		if size < 8 {
			return n, fmt.Errorf("%w: a message of %d bytes", errWayland, size)
		}
		if len(c.buf) < size {
			break
		}
		if err := c.event(object, uint16(word), c.buf[8:size]); err != nil {
			return n, err
		}
		c.buf = c.buf[size:]
	}
	return n, nil
}

// event takes one event of an object.
func (c *compositor) event(object uint32, opcode uint16, args []byte) error {
	const failed, global, done, idled, resumed = 0, 0, 0, 0, 1
	switch {
	case object == wlDisplay && opcode == failed:
		return fmt.Errorf("%w: the compositor refuses: %q", errWayland, args)
	case object == wlRegistry && opcode == global:
		c.offered(args)
	case (object == wlFirstSync || object == wlSecondSync) && opcode == done:
		c.synced = object
	case object == wlNotification && opcode == idled:
		c.idled = time.Now().Round(0)
	case object == wlNotification && opcode == resumed:
		c.idled = time.Time{}
	}
	return nil
}

// offered notes a global: its name, its interface and its version.
func (c *compositor) offered(args []byte) {
	if len(args) < 12 {
		return
	}
	name, n := binary.NativeEndian.Uint32(args), uint64(binary.NativeEndian.Uint32(args[4:]))
	text := args[8:]
	if n == 0 || n > uint64(len(text))-4 || (n+3)/4*4+4 != uint64(len(text)) {
		return
	}
	g := wlGlobal{name, binary.NativeEndian.Uint32(text[len(text)-4:])}
	switch string(bytes.TrimRight(text[:n], "\x00")) {
	case "wl_seat":
		if c.seat.version == 0 { // the first of several
			c.seat = g
		}
	case "ext_idle_notifier_v1":
		c.notify = g
	}
}

// peek is how long ask waits for what the compositor may have told: it is there or not.
const peek = 10 * time.Millisecond

func (c *compositor) ask(context.Context) (reading, error) {
	for read := 0; ; {
		_ = c.conn.SetDeadline(time.Now().Add(peek))
		n, err := c.read()
		if read += n; read > maxWayland {
			return reading{}, fmt.Errorf("%w: the compositor does not come to an end", errWayland)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return reading{}, err
		}
	}
	if c.idled.IsZero() {
		return reading{}, nil
	}
	return reading{idle: Rest + time.Since(c.idled)}, nil
}

func (c *compositor) close() { _ = c.conn.Close() }

// wlMessage returns a request of an object, in the byte order of the machine.
func wlMessage(object uint32, opcode uint16, args ...[]byte) []byte {
	body := bytes.Join(args, nil)
	out := binary.NativeEndian.AppendUint32(nil, object)
	out = binary.NativeEndian.AppendUint32(out, uint32(8+len(body))<<16|uint32(opcode))
	return append(out, body...)
}

func wlUint(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func wlString(s string) []byte {
	return append(wlUint(uint32(len(s)+1)), padded(append([]byte(s), 0))...)
}
