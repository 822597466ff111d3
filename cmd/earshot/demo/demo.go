// Package demo plays a morning in a small office, so that a newcomer sees Earshot
// alive in ten seconds on one machine with no network: an open room, a contact who
// writes directly, a private room, who is free and who is not, a stranger who asks.
// The people are whole nodes on a simulated LAN: what they say is signed, encrypted,
// gossiped, caught up with and stored like anybody's. It does not know which face is
// watching.
package demo

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/node"
	"earshot/node/api"
	"earshot/node/sim"
)

// beat is one thing that happens in the play.
type beat struct {
	after time.Duration // since the beat before
	who   string
	does  action
	text  string
	where place  // of what is said
	to    string // the beginning of the message that is answered, edited or reacted to; see shows
}

type action int

const (
	says action = iota // types for a moment first
	comes
	leaves
	asks   // the person who watches to become a contact; text is the note
	edits  // their message, which says text then
	reacts // with text, an emoji
	shows  // what they are, a chat.Availability in to, and what they are doing
	waited // for by the person who watches, who is told once when they are free
)

// place is where something is said.
type place int

const (
	lobby  place = iota
	direct       // between Mara and the person who watches
	private
)

// cake is the private room of Mara, Jonas and the person who watches.
const cake = "#cake"

// script is the play. Who has not come by then is there from the start.
var script = []beat{
	{900 * time.Millisecond, "Mara", says, "Good morning! Is anybody else's coffee machine on strike?", lobby, ""},
	{1200 * time.Millisecond, "Jonas", says, "It takes exact change only, since Friday. I have written it a ☕ invoice.", lobby, ""},
	{700 * time.Millisecond, "Mara", says, "Aiko starts today. I bring a cake, who brings the candles? Only the three of us can read this room.", private, ""},
	{900 * time.Millisecond, "Jonas", says, "I have candles. And a lighter that works every third time.", private, ""},
	{700 * time.Millisecond, "Mara", says, "Just for you: choose my name at the left, and nobody but the two of us reads along. Not even Jonas.", direct, ""},
	{900 * time.Millisecond, "Aiko", comes, "", lobby, ""},
	{1100 * time.Millisecond, "Aiko", says, "おはよう! I just came in and could read all that is said here: my device asked yours for what it had missed. 😄", lobby, ""},
	{800 * time.Millisecond, "Aiko", asks, "Hi! I am the new one, at the desk by the window.", lobby, ""},
	{1300 * time.Millisecond, "Mara", says, "And there is no server in the room. Four devices, one wire, every link encrypted with Noise.", lobby, ""},
	{600 * time.Millisecond, "Mara", shows, "ordering the cake", lobby, "busy"},
	{400 * time.Millisecond, "Mara", waited, "", lobby, ""},
	{300 * time.Millisecond, "Mara", says, "See the mark at my name? I am busy, on the phone with the bakery. For this show /watch Mara has been written for you: you are told once when I am free.", lobby, ""},
	{900 * time.Millisecond, "Jonas", reacts, "🎂", private, "Aiko starts today."},
	{1300 * time.Millisecond, "Jonas", says, "Off to the printer. It has feelings.", lobby, ""},
	{300 * time.Millisecond, "Jonas", shows, "at the printer", lobby, "away"},
	{900 * time.Millisecond, "Mara", shows, "", lobby, "available"},
	{1200 * time.Millisecond, "Jonas", leaves, "", lobby, ""},
	{1500 * time.Millisecond, "Mara", says, "Say something! This is #lobby: anyone on this network can read it.", lobby, ""},
	{1 * time.Second, "Mara", says, "Jonas, when you are back: bring plats for the cake!", private, ""},
	{1500 * time.Millisecond, "Mara", edits, "Jonas, when you are back: bring plates for the cake!", private, "Jonas, when you are back"},
	{4 * time.Second, "Mara", leaves, "", lobby, ""},
	{1500 * time.Millisecond, "Jonas", comes, "", lobby, ""},
	{500 * time.Millisecond, "Jonas", shows, "", lobby, "available"},
	{1500 * time.Millisecond, "Jonas", says, "Plates, on it. Mara has gone, and I was away when she wrote that: your device has just handed it to me.", private, "Jonas, when you are back"},
	{1500 * time.Millisecond, "Jonas", says, "I am back, and so is everything I missed.", lobby, ""},
	{1500 * time.Millisecond, "Mara", comes, "", lobby, ""},
	{1500 * time.Millisecond, "Mara", reacts, "👍", private, "Plates, on it."},
}

// answers are what is said to the first words of the person who watches, wherever
// they say them.
var answers = map[place][]beat{
	lobby: {
		{who: "Mara", text: "I can hear you."},
		{who: "Aiko", text: "ようこそ! Now try /join #lunch, or press F1 for the keys and F9 for a menu."},
		{who: "Mara", text: "That's all I know by heart. Start `earshot` on two machines of one network, and talk to people."},
	},
	direct: {
		{who: "Mara", text: "Only you and I can read this, on the wire and on both disks. Write /verify to make sure that I am me.", where: direct},
		{who: "Mara", text: "Your device and mine made the keys for this, and nobody else has them. Behind what you write stands how far it has come: ✓✓ read.", where: direct},
	},
	private: {
		{who: "Mara", text: "Lovely. Aiko is not in #cake: her device does not get its keys, nor its name.", where: private},
		{who: "Mara", text: "Press F5 to see who is in, and F6 to choose a message: answer it, react, or see who has read it.", where: private},
	},
}

// Show is a running play.
type Show struct {
	office *sim.Office
	you    *node.Node
	people map[string]*node.Node
	rooms  map[place]chat.RoomID
	pace   float64
	cancel context.CancelFunc
	done   chan struct{} // the play and the answers have ended
}

// Start opens the office below dir, with you in it, and has the play begin. pace
// is its speed: 1 is for people, 10 is ten times as fast.
func Start(ctx context.Context, dir, you string, pace float64, log *slog.Logger) (*Show, error) {
	s := &Show{office: sim.NewOffice(dir, log), people: map[string]*node.Node{}, pace: pace, done: make(chan struct{})}
	s.rooms = map[place]chat.RoomID{lobby: chat.OpenRoom(chat.Lobby)}
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
			return nil, s.abandon(ctx, err)
		}
	}
	if err := s.introduce(ctx); err != nil {
		return nil, s.abandon(ctx, err)
	}
	go func() {
		defer close(s.done)
		s.play(ctx)
	}()
	return s, nil
}

// abandon ends a show that could not begin.
func (s *Show) abandon(ctx context.Context, err error) error {
	close(s.done)
	return errors.Join(err, s.Close(context.WithoutCancel(ctx)))
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
	heard := make(chan place, 8)
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		s.listen(ctx, heard)
	}()
	defer func() { <-listening }()
	vouched := s.vouching(ctx)
	defer func() { vouched() }()

	next, answered := 0, map[place]int{}
	var waiting []place // until who is to answer there is back
	answer := func(at place) {
		n := answered[at]
		if n == len(answers[at]) {
			return
		}
		if s.people[answers[at][n].who] == nil {
			waiting = append(waiting, at)
			return
		}
		s.reads(ctx, at)
		s.act(ctx, answers[at][n])
		answered[at]++
	}
	for {
		var due <-chan time.Time
		if next < len(script) {
			due = time.After(s.scaled(script[next].after))
		}
		select {
		case <-due:
			b := script[next]
			if b.who == "Mara" && b.does == leaves {
				vouched()
			}
			s.act(ctx, b)
			if b.does == comes {
				if b.who == "Mara" {
					vouched = s.vouching(ctx)
				}
				back := waiting
				waiting = nil
				for _, at := range back {
					answer(at)
				}
			}
			next++
		case at := <-heard:
			answer(at)
		case <-ctx.Done():
			return
		}
	}
}

func (s *Show) act(ctx context.Context, b beat) {
	n, room := s.people[b.who], s.rooms[b.where]
	if n == nil && b.does != comes {
		return
	}
	switch b.does {
	case comes:
		_ = s.enter(ctx, b.who)
	case leaves:
		delete(s.people, b.who)
		_ = s.office.Leave(ctx, n)
	case says:
		_ = n.SetTyping(ctx, room, true)
		s.pause(ctx, time.Second+time.Duration(len(b.text))*8*time.Millisecond)
		d := chat.Draft{Text: b.text}
		if id, ok := s.find(ctx, n, b); ok {
			d.ReplyTo = &id
		}
		_, _ = n.Send(ctx, room, d)
		_ = n.SetTyping(ctx, room, false)
	case shows:
		state := chat.Availability(b.to)
		_, _ = n.SetStatus(ctx, chat.StatusChange{State: &state, Text: &b.text})
	case waited:
		s.wait(ctx, n)
	case asks:
		if me, err := s.you.Me(ctx); err == nil {
			_, _ = n.AddContact(ctx, me.Person, b.text)
		}
	case edits:
		if id, ok := s.find(ctx, n, b); ok {
			_, _ = n.Edit(ctx, id, b.text)
		}
	case reacts:
		if id, ok := s.find(ctx, n, b); ok {
			_, _ = n.React(ctx, id, b.text, true)
		}
	}
}

// wait has the person who watches be told when somebody is free, once they have seen
// that they are not.
func (s *Show) wait(ctx context.Context, n *node.Node) {
	me, err := n.Me(ctx)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, arriveWithin)
	defer cancel()
	err = until(ctx, s.you, func() (bool, error) {
		people, err := s.you.People(ctx)
		return slices.ContainsFunc(people, func(p chat.Person) bool {
			return p.Person == me.Person && p.Presence == chat.Here && p.Status.State != "" && !p.Status.State.Free()
		}), err
	})
	if err == nil {
		_ = s.you.Watch(ctx, me.Person, true)
	}
}

// arriveWithin is how long what somebody does may take to reach another.
const arriveWithin = 10 * time.Second

// find returns the message that a beat is about, once whoever acts has it.
func (s *Show) find(ctx context.Context, n *node.Node, b beat) (id chat.EntryID, ok bool) {
	if b.to == "" {
		return id, false
	}
	ctx, cancel := context.WithTimeout(ctx, arriveWithin)
	defer cancel()
	err := until(ctx, n, func() (bool, error) {
		page, err := n.Messages(ctx, s.rooms[b.where], api.Page{Limit: api.DefaultPage})
		for _, m := range page {
			if strings.Contains(m.Text, b.to) {
				id = m.ID
				return true, nil
			}
		}
		return false, err
	})
	return id, err == nil
}

// reads has everybody who is there, and takes part, read what is said somewhere.
func (s *Show) reads(ctx context.Context, at place) {
	for _, n := range s.people {
		page, err := n.Messages(ctx, s.rooms[at], api.Page{Limit: 1})
		if err == nil && len(page) > 0 { // who is not in it has nothing to read
			_ = n.MarkRead(ctx, s.rooms[at], page[0].ID)
		}
	}
}

// vouching has Mara vouch for herself, until what it returns is called.
func (s *Show) vouching(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	mara := s.people["Mara"]
	go func() {
		defer close(ended)
		if mara != nil {
			s.vouch(ctx, mara)
		}
	}()
	return func() { cancel(); <-ended }
}

// listen reports where the person who watches has written something.
func (s *Show) listen(ctx context.Context, heard chan<- place) {
	sub := s.you.Feed().Subscribe(s.you.Feed().Newest(), s.you.Facts)
	defer sub.Close()
	for {
		events, err := sub.Next(ctx)
		if err != nil {
			return
		}
		for _, e := range events {
			m, ok := e.(chat.MessageEvent)
			if !ok || !m.Mine {
				continue
			}
			for at, room := range s.rooms {
				if room != m.RoomID {
					continue
				}
				select {
				case heard <- at:
				default: // they write faster than anybody answers
				}
			}
		}
	}
}

// vouch has Mara compare symbols with whoever wants to, and find them the same.
func (s *Show) vouch(ctx context.Context, mara *node.Node) {
	sub := mara.Feed().Subscribe(mara.Feed().Newest(), mara.Facts)
	defer sub.Close()
	for {
		events, err := sub.Next(ctx)
		if err != nil {
			return
		}
		for _, e := range events {
			v, ok := e.(chat.VerificationEvent)
			switch {
			case !ok:
			case v.State == chat.VerificationAsked:
				s.pause(ctx, 2*time.Second)
				_, _ = mara.StartVerification(ctx, v.Person)
			case v.State == chat.VerificationCompare:
				s.pause(ctx, 5*time.Second) // she reads them all
				_ = mara.SayVerification(ctx, v.Person, true)
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
