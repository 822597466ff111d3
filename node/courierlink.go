package node

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"

	"earshot/chat"
	"earshot/chat/courier"
	"earshot/chat/wire"
	"earshot/node/host"
	"earshot/node/store"
	"earshot/node/stream"
)

// This file is the streams on which devices speak about envelopes:
// PROTOCOL.md#earshotcourier1.

const courierProtocol protocol.ID = "/earshot/courier/1"

const (
	// courierIdle is how long a stream is held that nothing is said on.
	courierIdle = 30 * time.Second
	// maxCourierJobs bounds what waits to be said to one device; who does not listen
	// is told when they come again.
	maxCourierJobs = 512
	// maxCourierStreams bounds the streams that others have opened here.
	maxCourierStreams = 1024
)

// What is queued counts as said, so it must not take a slow link long.
var courierOptions = stream.Options{Queue: 4}

// toCourier has something said to a device.
func (c *core) toCourier(d chat.DeviceID, job courierJob) {
	x := c.couriers
	if l := x.links[d]; l != nil && l.add(job) {
		return
	}
	l := &courierLink{device: d, wake: make(chan struct{}, 1)}
	l.add(job)
	x.links[d] = l
	c.n.spawn(func(ctx context.Context) {
		c.n.sayCourier(ctx, l)
		_ = c.n.tell(c.n.ctx, func(c *core) {
			if c.couriers.links[d] == l {
				delete(c.couriers.links, d)
			}
		})
	})
}

// add queues a job and returns true, or false if the stream has ended. A queue that is
// full takes no more: what is lost is said when the two meet again.
func (l *courierLink) add(job courierJob) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	if len(l.jobs) < maxCourierJobs {
		l.jobs = append(l.jobs, job)
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return true
}

// take returns what waits; with last, nothing can be added any more if there is none.
func (l *courierLink) take(last bool) []courierJob {
	l.mu.Lock()
	defer l.mu.Unlock()
	jobs := l.jobs
	l.jobs = nil
	l.ended = l.ended || last && len(jobs) == 0
	return jobs
}

func (l *courierLink) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.jobs = true, nil
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *courierLink) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// sayCourier opens a stream and says what there is to say until there is nothing for a
// while. Nothing comes back on it; another goroutine, which ends before it returns, waits
// for the other side to end it.
func (n *Node) sayCourier(ctx context.Context, l *courierLink) {
	defer l.end()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	s, err := stream.Open(ctx, n.host.Libp2p(), host.PeerID(l.device), courierProtocol, courierOptions)
	if err != nil {
		return
	}
	over := false
	defer func() {
		if over {
			_ = s.Close()
		} else {
			s.Reset(stream.ReasonDone)
		}
	}()
	stop := context.AfterFunc(ctx, func() { s.Reset(stream.ReasonShutdown) })
	defer stop()
	wg.Go(func() {
		_, _ = s.Receive()
		cancel()
	})
	idle := time.NewTimer(courierIdle)
	defer idle.Stop()
	for last := false; ; {
		jobs := l.take(last)
		for i := range jobs {
			if n.doCourier(ctx, s, &jobs[i]) != nil {
				return
			}
		}
		if over = last && len(jobs) == 0; over {
			return
		}
		idle.Reset(courierIdle)
		select {
		case <-l.wake:
			if last = false; l.over() {
				return
			}
		case <-idle.C:
			last = true
		case <-s.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// doCourier says one thing.
func (n *Node) doCourier(ctx context.Context, s *stream.Stream, job *courierJob) error {
	switch {
	case job.frame != nil:
		return s.Send(ctx, wire.EncodeFrame(job.frame))
	case len(job.bring) > 0:
		for _, id := range job.bring {
			gone := wire.HandOver{ID: id[:]}
			b, err := n.store.CourierBytes(ctx, store.CourierHeld, store.CourierID(id))
			if err != nil {
				return err
			}
			if env, err := courier.Parse(b); err == nil {
				gone = env.HandOver()
			}
			if err := s.Send(ctx, wire.EncodeFrame(gone)); err != nil {
				return err
			}
		}
		return nil
	}
	b := job.bytes
	if b == nil {
		var err error
		if b, err = n.store.CourierBytes(ctx, store.CourierParcel, store.CourierID(job.give)); err != nil {
			return err
		}
	}
	if b == nil {
		return nil // it has been taken back
	}
	f := wire.Deposit{Envelope: b}
	for _, id := range job.drop {
		f.Dropped = append(f.Dropped, id[:]...)
	}
	return s.Send(ctx, wire.EncodeFrame(f))
}

// hearCourier serves a stream on which a device speaks about envelopes.
func (n *Node) hearCourier(ctx context.Context, s *stream.Stream) {
	d, ok := host.DeviceID(s.Peer())
	if !ok {
		s.Reset(stream.ReasonDenied)
		return
	}
	if ok, own := n.courierStreams.take(d); !ok {
		s.Reset(stream.ReasonBusy)
		if own {
			n.refuseFrom(d, chat.Errorf(chat.CodeInvalid, "A device opened too many streams at once. They were refused; nothing needs to be done."))
		}
		return
	}
	defer n.courierStreams.free(d)
	greeted := false
	if n.do(ctx, func(c *core) { greeted = c.greets(d) }) != nil {
		s.Reset(stream.ReasonShutdown)
		return
	}
	if !greeted { // who may not know who is here is told nothing
		s.Reset(stream.ReasonDenied)
		return
	}
	defer s.Reset(stream.ReasonDone)
	stop := context.AfterFunc(ctx, func() { s.Reset(stream.ReasonShutdown) })
	defer stop()
	for {
		f, err := receiveFrame(s)
		if err == nil {
			err = n.admitCourier(ctx, d)
		}
		if err == nil {
			err = n.tell(ctx, func(c *core) { c.heardCourier(d, f) })
		}
		if err != nil {
			if chat.CodeOf(err) == chat.CodeInvalid {
				n.refuseFrom(d, err)
			}
			return
		}
	}
}

// admitCourier waits until a frame of a device may be heard: not read, a flood waits at
// its sender's, and so does what the disk has no time for.
func (n *Node) admitCourier(ctx context.Context, d chat.DeviceID) error {
	for !n.standings.allow(&n.standings.couriers, time.Now(), d) || n.store.Backlog() > maxBacklog {
		if !sleep(ctx, time.Second/courierRate) {
			return ctx.Err()
		}
	}
	return nil
}
