package floor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
)

const (
	gossipTopic = "floor"
	// silence ends a run in which messages were lost.
	silence = 3 * time.Second
)

// Begin is the signal on which the command floor-gossip begins to send. (Other
// systems than Linux do not know SIGUSR1.)
const Begin = syscall.SIGHUP

// Gossip is one of several nodes, all connected to each other, on one gossipsub
// topic. When begin is closed the first senders of them publish count messages
// of size bytes each: one every interval, or as fast as they can if it is 0. A
// node is done when it has received everything, or nothing for a while.
func Gossip(ctx context.Context, out io.Writer, begin <-chan struct{}, hosts []string, self, senders, count, size int, interval time.Duration) error {
	if self >= len(hosts) || senders > len(hosts) || size < 8 {
		return errors.New("there are fewer hosts than that, or the messages cannot carry their time")
	}
	h, err := newHost(hosts, self)
	if err != nil {
		return err
	}
	defer h.Close()
	// By default what is published before the mesh has formed and most of a
	// burst are dropped without a word, and a message that is not delivered
	// costs no time. Earshot publishes to all, too.
	const queue = 4096
	ps, err := pubsub.NewGossipSub(ctx, h, pubsub.WithFloodPublish(true),
		pubsub.WithPeerOutboundQueueSize(queue), pubsub.WithValidateQueueSize(queue))
	if err != nil {
		return err
	}
	topic, err := ps.Join(gossipTopic)
	if err != nil {
		return err
	}
	sub, err := topic.Subscribe(pubsub.WithBufferSize(queue))
	if err != nil {
		return err
	}
	if err := emit(out, Stage{Stage: Listening}); err != nil {
		return err
	}
	for i := range self {
		if _, err := connect(ctx, h, hosts, i); err != nil {
			return err
		}
	}
	for len(topic.ListPeers()) < len(hosts)-1 {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d others subscribed: %w", len(topic.ListPeers()), len(hosts)-1, context.Cause(ctx))
		}
	}
	if err := emit(out, Stage{Stage: Connected}); err != nil {
		return err
	}
	expected := senders * count
	if self < senders {
		expected -= count
	}
	received := make(chan Result, 1)
	go func() { received <- receive(ctx, sub, h.ID().String(), expected) }()
	select {
	case <-begin:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if self < senders {
		if err := publish(ctx, topic, count, size, interval); err != nil {
			return err
		}
	}
	r := <-received
	if err := emit(out, Stage{Stage: Done, Result: &r}); err != nil {
		return err
	}
	<-ctx.Done() // others may still be served through this node
	return nil
}

// publish sends messages that begin with the time of their sending.
func publish(ctx context.Context, topic *pubsub.Topic, count, size int, interval time.Duration) error {
	tick := make(<-chan time.Time)
	if interval > 0 {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for range count {
		if interval > 0 {
			select {
			case <-tick:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		msg := make([]byte, size)
		binary.BigEndian.PutUint64(msg, uint64(time.Now().UnixNano()))
		if err := topic.Publish(ctx, msg); err != nil {
			return err
		}
	}
	return nil
}

// receive collects the messages of others until there are as many as expected,
// or none for a while after the first.
func receive(ctx context.Context, sub *pubsub.Subscription, self string, expected int) Result {
	var r Result
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lost := time.AfterFunc(time.Hour, cancel)
	defer lost.Stop()
	for r.Received < expected {
		msg, err := sub.Next(ctx)
		if err != nil {
			return r
		}
		if msg.GetFrom().String() == self {
			continue
		}
		lost.Reset(silence)
		now := time.Now()
		sent := time.Unix(0, int64(binary.BigEndian.Uint64(msg.Data)))
		if r.Began.IsZero() || sent.Before(r.Began) {
			r.Began = sent
		}
		r.Ended = now
		r.OneWay = append(r.OneWay, now.Round(0).Sub(sent))
		r.Received++
	}
	return r
}
