package desktop

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// This file asks an X server for how long nobody has touched it: by QueryInfo of the
// extension MIT-SCREEN-SAVER 1.1, and the three requests of the core protocol that lead
// there.

// errX is why an X server is not asked.
var errX = errors.New("x11")

// xServer is a connection to an X server. It belongs to one goroutine.
type xServer struct {
	conn  net.Conn
	root  uint32
	major byte // the extension's opcode
}

func (d *Desktop) openX11(ctx context.Context) (asker, error) {
	if _, err := d.waylandSocket(); err == nil {
		return nil, fmt.Errorf("%w: of the screen that Wayland has, X11 knows a part only", errX)
	}
	number, err := localDisplay(d.getenv("DISPLAY"))
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", filepath.Join(d.x11, "X"+number))
	if err != nil {
		return nil, err
	}
	x := &xServer{conn: conn}
	if err := x.start(ctx, d.xCookie(number)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return x, nil
}

// localDisplay returns the number of a display of this machine. One that is reached
// through ssh has another machine's keys.
func localDisplay(display string) (string, error) {
	host, number, ok := strings.Cut(display, ":")
	number, _, _ = strings.Cut(number, ".")
	if _, err := strconv.ParseUint(number, 10, 16); !ok || err != nil || host != "" && host != "unix" {
		return "", fmt.Errorf("%w: no display of this machine: %q", errX, display)
	}
	return number, nil
}

// xCookie returns what this person shows a display to be let in; nil for nothing.
func (d *Desktop) xCookie(number string) []byte {
	path := d.getenv("XAUTHORITY")
	if path == "" {
		path = filepath.Join(d.getenv("HOME"), ".Xauthority")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	host, _ := os.Hostname()
	return cookieOf(b, host, number)
}

const cookieName = "MIT-MAGIC-COOKIE-1"

// cookieOf returns the cookie of a display in the contents of an .Xauthority file.
func cookieOf(b []byte, host, number string) []byte {
	const local, wild = 256, 65535
	for len(b) >= 2 {
		family := binary.BigEndian.Uint16(b)
		b = b[2:]
		var fields [4][]byte // address, number, name, data
		for i := range fields {
			if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
				return nil
			}
			n := int(binary.BigEndian.Uint16(b))
			fields[i], b = b[2:2+n], b[2+n:]
		}
		here := family == wild || family == local && string(fields[0]) == host
		if here && (len(fields[1]) == 0 || string(fields[1]) == number) && string(fields[2]) == cookieName {
			return fields[3]
		}
	}
	return nil
}

// start opens the connection and looks for the extension.
func (x *xServer) start(ctx context.Context, cookie []byte) error {
	x.bound(ctx)
	name := cookieName
	if cookie == nil {
		name = ""
	}
	var b bytes.Buffer
	b.Write([]byte{'l', 0})
	for _, n := range []int{11, 0, len(name), len(cookie), 0} {
		_ = binary.Write(&b, binary.LittleEndian, uint16(n))
	}
	b.Write(padded([]byte(name)))
	b.Write(padded(cookie))
	if _, err := x.conn.Write(b.Bytes()); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(x.conn, head[:]); err != nil {
		return err
	}
	setup := make([]byte, 4*int(binary.LittleEndian.Uint16(head[6:]))) // 256 KiB at the most
	if _, err := io.ReadFull(x.conn, setup); err != nil {
		return err
	}
	if head[0] != 1 {
		return fmt.Errorf("%w: the server does not let us in", errX)
	}
	const fixed, format = 32, 8
	if len(setup) < fixed {
		return fmt.Errorf("%w: a setup of %d bytes", errX, len(setup))
	}
	vendor := int(binary.LittleEndian.Uint16(setup[16:]))
	screen := fixed + (vendor+3)/4*4 + format*int(setup[21])
	if setup[20] == 0 || len(setup) < screen+4 {
		return fmt.Errorf("%w: a server without a screen", errX)
	}
	x.root = binary.LittleEndian.Uint32(setup[screen:])

	const queryExtension, extension = 98, "MIT-SCREEN-SAVER"
	req := []byte{queryExtension, 0, byte(2 + (len(extension)+3)/4), 0, byte(len(extension)), 0, 0, 0}
	reply, err := x.request(append(req, padded([]byte(extension))...))
	if err != nil {
		return err
	}
	if reply[8] == 0 {
		return fmt.Errorf("%w: the server has no extension %s", errX, extension)
	}
	x.major = reply[9]
	return nil
}

// padded returns b with zeros up to a multiple of 4.
func padded(b []byte) []byte { return append(b[:len(b):len(b)], make([]byte, -len(b)&3)...) }

// request returns the first 32 bytes of the reply to a request.
func (x *xServer) request(req []byte) (reply [32]byte, err error) {
	if _, err := x.conn.Write(req); err != nil {
		return reply, err
	}
	const failed, answers = 0, 1
	for {
		if _, err := io.ReadFull(x.conn, reply[:]); err != nil {
			return reply, err
		}
		switch reply[0] {
		case failed:
			return reply, fmt.Errorf("%w: error %d", errX, reply[1])
		case answers:
			_, err := io.CopyN(io.Discard, x.conn, 4*int64(binary.LittleEndian.Uint32(reply[4:])))
			return reply, err
		}
		// Else an event, which nobody has asked for.
	}
}

func (x *xServer) ask(ctx context.Context) (reading, error) {
	x.bound(ctx)
	const queryInfo = 1
	reply, err := x.request(binary.LittleEndian.AppendUint32([]byte{x.major, queryInfo, 2, 0}, x.root))
	return reading{idle: millisIdle(uint64(binary.LittleEndian.Uint32(reply[16:])))}, err
}

// bound bounds how long the server may take, by ctx.
func (x *xServer) bound(ctx context.Context) {
	late, ok := ctx.Deadline()
	if !ok {
		late = time.Now().Add(answerTime)
	}
	_ = x.conn.SetDeadline(late)
}

func (x *xServer) close() { _ = x.conn.Close() }
