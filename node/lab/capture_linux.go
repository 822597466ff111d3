package lab

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Capture writes every frame that crosses a LAN into a file.
type Capture struct {
	sockets []int // one for each bridge
	stop    int   // an eventfd: written to wake the reader for the last time
	file    *os.File
	done    chan struct{}

	once   sync.Once
	frames int
	err    error
}

const (
	// maxFrame is the longest frame a capture holds: with segmentation offload
	// one "frame" between two namespaces carries up to 64 KiB and its headers.
	maxFrame = 128 << 10
	// everyProtocol is ETH_P_ALL in network byte order.
	everyProtocol = unix.ETH_P_ALL << 8
)

// Capture writes every frame that crosses the LAN, each once, into the file in
// the pcap format, which tcpdump and Wireshark read, until Close. Nothing needs
// to be waited for: frames sent after Capture returned are in it.
func (lan *LAN) Capture(file string) (*Capture, error) {
	c := &Capture{stop: -1, done: make(chan struct{})}
	err := lan.lab.core.do(func() error {
		for _, name := range lan.bridges {
			socket, err := listenFrames(name)
			if err != nil {
				return err
			}
			c.sockets = append(c.sockets, socket)
		}
		return nil
	})
	if err == nil {
		c.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC)
	}
	if err == nil {
		c.file, err = os.Create(file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("could not capture: %w", err), c.release())
	}
	go func() {
		defer close(c.done)
		c.err = c.record()
	}()
	lan.lab.mu.Lock()
	defer lan.lab.mu.Unlock()
	lan.lab.captures = append(lan.lab.captures, c)
	return c, nil
}

// listenFrames opens a packet socket that sees every frame a bridge forwards. A
// bridge shows itself what it forwards between its ports only while it is
// promiscuous; listening on the ports would show every frame twice or more.
func listenFrames(bridge string) (int, error) {
	dev, err := net.InterfaceByName(bridge)
	if err != nil {
		return -1, err
	}
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	// Room for bursts, more than the administrator's limit where that is
	// allowed, which it is not in a user namespace.
	const room = 64 << 20
	if unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room) != nil {
		err = unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUF, room)
	}
	if err == nil {
		err = unix.SetsockoptPacketMreq(socket, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(dev.Index), Type: unix.PACKET_MR_PROMISC})
	}
	if err == nil {
		err = unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: everyProtocol, Ifindex: dev.Index})
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(socket))
	}
	return socket, nil
}

// record writes frames until it is told to stop, and then those that were
// waiting.
func (c *Capture) record() error {
	w := bufio.NewWriter(c.file)
	// The file header: magic number for microseconds, version 2.4, time zone,
	// accuracy, longest frame, link type Ethernet.
	header := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	header = binary.LittleEndian.AppendUint16(header, 2)
	header = binary.LittleEndian.AppendUint16(header, 4)
	for _, v := range []uint32{0, 0, maxFrame, 1} {
		header = binary.LittleEndian.AppendUint32(header, v)
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	waiting := []unix.PollFd{{Fd: int32(c.stop), Events: unix.POLLIN}}
	for _, s := range c.sockets {
		waiting = append(waiting, unix.PollFd{Fd: int32(s), Events: unix.POLLIN})
	}
	frame := make([]byte, maxFrame)
	for {
		if _, err := unix.Poll(waiting, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		for _, s := range c.sockets {
			if err := c.drain(s, w, frame); err != nil {
				return err
			}
		}
		if waiting[0].Revents != 0 {
			return w.Flush()
		}
	}
}

// drain writes all frames that wait in a socket.
func (c *Capture) drain(socket int, w *bufio.Writer, frame []byte) error {
	for {
		n, _, err := unix.Recvfrom(socket, frame, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		}
		now := time.Now()
		kept := min(n, len(frame))
		record := binary.LittleEndian.AppendUint32(nil, uint32(now.Unix()))
		record = binary.LittleEndian.AppendUint32(record, uint32(now.Nanosecond()/1000))
		record = binary.LittleEndian.AppendUint32(record, uint32(kept))
		record = binary.LittleEndian.AppendUint32(record, uint32(n))
		if _, err := w.Write(append(record, frame[:kept]...)); err != nil {
			return err
		}
		c.frames++
	}
}

// Frames is the number of frames in the file, known after Close.
func (c *Capture) Frames() int {
	<-c.done
	return c.frames
}

// Close ends the capture and completes its file. It fails if the kernel had to
// drop a frame, because such a file does not prove that something was not sent.
func (c *Capture) Close() error {
	c.once.Do(func() {
		one := binary.NativeEndian.AppendUint64(nil, 1)
		if _, err := unix.Write(c.stop, one); err != nil {
			c.err = err
			return
		}
		<-c.done
		for _, s := range c.sockets {
			stats, err := unix.GetsockoptTpacketStats(s, unix.SOL_PACKET, unix.PACKET_STATISTICS)
			if err == nil && stats.Drops > 0 {
				err = fmt.Errorf("the capture is incomplete: the kernel dropped %d frames: send less at once", stats.Drops)
			}
			c.err = errors.Join(c.err, err)
		}
		c.err = errors.Join(c.err, c.release())
	})
	return c.err
}

// release closes what the capture holds.
func (c *Capture) release() error {
	var errs []error
	for _, s := range c.sockets {
		errs = append(errs, unix.Close(s))
	}
	if c.stop >= 0 {
		errs = append(errs, unix.Close(c.stop))
	}
	if c.file != nil {
		errs = append(errs, c.file.Close())
	}
	return errors.Join(errs...)
}
