// Package demo plays a morning in a small office, so that a newcomer sees Earshot
// alive in ten seconds on one machine with no network. The people are whole nodes
// on a simulated LAN: what they say is signed, encrypted, gossiped, caught up with
// and stored like anybody's. It does not know which face is watching.
package demo

import (
	"context"
	"log/slog"
	"time"

	"earshot/chat"
	"earshot/node"
	"earshot/node/sim"
)

// beat is one thing that happens in the play.
type beat struct {
	after time.Duration // since the beat before
	who   string
	does  action
	text  string
}

type action int

const (
	says action = iota // types for a moment first
	comes
	leaves
)

// script is the play. Who has not come by then is there from the start.
var script = []beat{
	{900 * time.Millisecond, "Mara", says, "Good morning! Is anybody else's coffee machine on strike?"},
	{1200 * time.Millisecond, "Jonas", says, "It takes exact change only, since Friday. I have written it a ☕ invoice."},
	{900 * time.Millisecond, "Aiko", comes, ""},
	{1100 * time.Millisecond, "Aiko", says, "おはよう! I just came in and could read all of that: my device asked yours for what it had missed. 😄"},
	{1300 * time.Millisecond, "Mara", says, "And there is no server in the room. Four devices, one wire, every link encrypted with Noise."},
	{1300 * time.Millisecond, "Jonas", says, "Off to the printer. It has feelings."},
	{700 * time.Millisecond, "Jonas", leaves, ""},
	{1500 * time.Millisecond, "Mara", says, "Say something! You are in #lobby, like everyone on this network."},
	{9 * time.Second, "Jonas", comes, ""},
	{1500 * time.Millisecond, "Jonas", says, "I am back, and so is everything I missed."},
}

// answers are what Mara and Aiko say to the first words of the person who watches.
var answers = []struct{ who, text string }{
	{"Mara", "I can hear you."},
	{"Aiko", "ようこそ! Now try /join #lunch, or press F1 for the keys."},
	{"Mara", "That's all I know by heart. Start `earshot` on two machines of one network, and talk to people."},
}

// Show is a running play.
type Show struct {
	office *sim.Office
	you    *node.Node
	people map[string]*node.Node
	pace   float64
	cancel context.CancelFunc
	done   chan struct{} // the play and the answers have ended
}

// Start opens the office below dir, with you in it, and has the play begin. pace
// is its speed: 1 is for people, 10 is ten times as fast.
func Start(ctx context.Context, dir, you string, pace float64, log *slog.Logger) (*Show, error) {
	s := &Show{office: sim.NewOffice(dir, log), people: map[string]*node.Node{}, pace: pace, done: make(chan struct{})}
	ctx, s.cancel = context.WithCancel(ctx)
	var err error
	if s.you, err = s.office.Enter(ctx, you); err != nil {
		s.cancel()
		close(s.done)
		return nil, err
	}
	late := map[string]bool{}
	for _, b := range script {
		if b.does == comes {
			late[b.who] = true
		}
		if _, here := s.people[b.who]; here || late[b.who] {
			continue
		}
		if err := s.enter(ctx, b.who); err != nil {
			close(s.done)
			_ = s.Close(context.WithoutCancel(ctx))
			return nil, err
		}
	}
	go func() {
		defer close(s.done)
		s.play(ctx)
	}()
	return s, nil
}

// You returns the node of the person who watches.
func (s *Show) You() *node.Node { return s.you }

// Close ends the play and everybody in it.
func (s *Show) Close(ctx context.Context) error {
	s.cancel()
	<-s.done
	return s.office.Close(ctx)
}

func (s *Show) enter(ctx context.Context, who string) error {
	n, err := s.office.Enter(ctx, who)
	if err == nil {
		s.people[who] = n
	}
	return err
}

// play runs the script, and answers the person who watches, until ctx ends. It is
// the only goroutine that touches people after Start.
func (s *Show) play(ctx context.Context) {
	heard := make(chan struct{}, len(answers))
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		s.listen(ctx, heard)
	}()
	defer func() { <-listening }()

	next, answered := 0, 0
	for {
		var due <-chan time.Time
		if next < len(script) {
			due = time.After(s.scaled(script[next].after))
		}
		select {
		case <-due:
			s.act(ctx, script[next])
			next++
		case <-heard:
			if answered < len(answers) {
				s.act(ctx, beat{who: answers[answered].who, does: says, text: answers[answered].text})
				answered++
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *Show) act(ctx context.Context, b beat) {
	switch n := s.people[b.who]; b.does {
	case comes:
		_ = s.enter(ctx, b.who)
	case leaves:
		if n != nil {
			delete(s.people, b.who)
			_ = s.office.Leave(ctx, n)
		}
	case says:
		if n == nil {
			return
		}
		lobby := chat.OpenRoom(chat.Lobby)
		_ = n.SetTyping(ctx, lobby, true)
		s.pause(ctx, time.Second+time.Duration(len(b.text))*8*time.Millisecond)
		_, _ = n.Send(ctx, lobby, b.text, "")
		_ = n.SetTyping(ctx, lobby, false)
	}
}

// listen reports each message that the person who watches has written.
func (s *Show) listen(ctx context.Context, heard chan<- struct{}) {
	sub := s.you.Feed().Subscribe(s.you.Feed().Newest(), s.you.Facts)
	defer sub.Close()
	for {
		events, err := sub.Next(ctx)
		if err != nil {
			return
		}
		for _, e := range events {
			if m, ok := e.(chat.MessageEvent); ok && m.Mine {
				select {
				case heard <- struct{}{}:
				default: // they write faster than anybody answers
				}
			}
		}
	}
}

func (s *Show) scaled(d time.Duration) time.Duration { return time.Duration(float64(d) / s.pace) }

func (s *Show) pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(s.scaled(d)):
	case <-ctx.Done():
	}
}
