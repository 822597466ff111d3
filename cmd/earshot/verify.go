package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"earshot/chat"
	"earshot/cmd/earshot/qrcode"
	"earshot/node/api/client"
)

// cancelTimeout bounds telling the node that the person has gone.
const cancelTimeout = time.Second

func runVerify(ctx context.Context, a *app, args []string) error {
	evidence := strings.Join(args[1:], " ")
	live := evidence == "" && !a.p.json && a.canAsk()
	return a.with(ctx, need{network: live, lasting: live}, func(s *session) error {
		p, err := findPerson(ctx, s.Client, args[0])
		if err != nil {
			return err
		}
		if evidence != "" {
			return a.markVerified(ctx, s, p, evidence)
		}
		v, err := s.Verification(ctx, p.Person.String())
		if err != nil {
			return err
		}
		if a.p.json {
			return a.p.object(v)
		}
		if err := a.p.proof(v); err != nil {
			return err
		}
		if !live {
			a.p.note("To compare symbols instead, run this at a terminal while %s does the same.", called(p))
			return nil
		}
		c := comparing{app: a, s: s, who: p}
		return c.run(ctx)
	})
}

func (a *app) markVerified(ctx context.Context, s *session, p chat.Person, evidence string) error {
	if err := s.MarkVerified(ctx, p.Person.String(), evidence); err != nil {
		return err
	}
	if !a.p.json {
		return a.p.line("%s", verified(p))
	}
	p, err := s.Person(ctx, p.Person.String())
	if err != nil {
		return err
	}
	return a.p.object(p)
}

func verified(p chat.Person) string {
	return called(p) + " is verified: nobody stands between you. If another key ever goes by that name, nothing is sent until you have decided."
}

// proof shows the number and the code by which two people find that nobody stands
// between them.
func (p *printer) proof(v chat.Verification) error {
	if err := p.line("%s's device shows this number too, unless somebody stands between you:", cell(v.Name)); err != nil {
		return err
	}
	groups := strings.Fields(v.Number)
	for len(groups) > 0 {
		n := min(4, len(groups))
		if err := p.line("  %s", strings.Join(groups[:n], " ")); err != nil {
			return err
		}
		groups = groups[n:]
	}
	if v.QR == "" {
		return nil
	}
	return p.code(v.QR, "or give the text of this code to `earshot verify` there:")
}

// code draws a QR code where there is a terminal, and prints its text.
func (p *printer) code(text, what string) error {
	lines, err := qrcode.Lines(text)
	if err != nil {
		return err
	}
	if err := p.line("%s", what); err != nil {
		return err
	}
	if p.terminal {
		for _, l := range lines {
			// Black on white in the colour cube, whatever the terminal's own colours are.
			if err := p.line("  \x1b[38;5;16;48;5;231m%s\x1b[0m", l); err != nil {
				return err
			}
		}
	}
	return p.line("  %s", cell(text))
}

// comparing is a live comparison with somebody, at a terminal.
type comparing struct {
	app   *app
	s     *session
	who   chat.Person
	state chat.VerificationState
}

func (c *comparing) id() string { return c.who.Person.String() }

// run compares until there is a result. A person who leaves calls it off.
func (c *comparing) run(ctx context.Context) (err error) {
	defer func() {
		if err != nil && !c.state.Over() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
			defer cancel()
			_ = c.s.CancelVerification(ctx, c.id()) // ends by itself otherwise
		}
	}()
	watch := watchEvents(ctx, c.s.Client)
	defer watch.stop()
	if c.s.mine() != nil { // it has just started
		watch.meet(ctx, c.who.Person)
	}
	v, err := c.s.Verify(ctx, c.id())
	if err != nil {
		return err
	}
	var answers <-chan reply // of the question whether the symbols are the same
	for {
		asks, err := c.show(v)
		if err != nil || c.state == chat.VerificationVerified {
			return err
		}
		if asks {
			answers = c.app.question("Are they the same? [y/n] ")
		}
		for again := true; again; {
			select {
			case e, ok := <-watch.events:
				switch e := e.(type) {
				case chat.VerificationEvent:
					again = e.Person != c.who.Person
					v = e.Verification
				case chat.GapEvent: // what happened meanwhile was missed
					if v, err = c.s.Verification(ctx, c.id()); err != nil {
						return err
					}
					again = false
				}
				if !ok {
					return watch.err
				}
			case r := <-answers:
				same, clear, err := c.app.answered(r)
				switch {
				case err != nil:
					return err
				case !clear:
					answers = c.app.question("Compare each of them, then say y or n: ")
					continue
				}
				answers = nil
				if err := c.s.SayVerification(ctx, c.id(), same); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// show tells a state once, and reports whether the person is to compare now. What
// ended otherwise than well is an error.
func (c *comparing) show(v chat.Verification) (asks bool, err error) {
	if v.State == c.state {
		return false, nil
	}
	c.state = v.State
	c.app.leaveQuestion()
	p, who := c.app.p, called(c.who)
	switch v.State {
	case chat.VerificationWaiting:
		p.note("Waiting for %s to run `earshot verify` with your name. Ctrl+C ends it.", who)
	case chat.VerificationCompare:
		p.note("Do you and %s both see these, in this order? Ask by voice or face to face, not here.", who)
		for _, symbol := range v.Symbols {
			p.note("  %s", cell(symbol))
		}
		return true, nil
	case chat.VerificationSaid:
		p.note("Waiting for %s to say the same.", who)
	case chat.VerificationVerified:
		return false, p.line("%s", verified(c.who))
	case chat.VerificationDifferent:
		return false, chat.Errorf(chat.CodeDenied, "What you and %s see differs: somebody may stand between you. Say nothing secret to them, and compare the 60 digits face to face.", who)
	case chat.VerificationEnded, "":
		reason := cell(v.Reason)
		if reason == "" {
			reason = "The comparison has ended."
		}
		return false, chat.Errorf(chat.CodeUnreachable, "%s Nothing is verified. Begin again when both are here, or compare the 60 digits.", reason)
	}
	return false, nil
}

// watch is the events of the node while a command waits for them and for a person.
type watch struct {
	events chan chat.Event // closed when the stream has ended; then err says why
	err    error
	cancel context.CancelFunc
	done   chan struct{}
}

// watchEvents returns once what happens from now on will be seen.
func watchEvents(ctx context.Context, c *client.Client) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{events: make(chan chat.Event), cancel: cancel, done: make(chan struct{})}
	stream := c.Events(ctx, client.EventsFrom{})
	began := make(chan struct{})
	go func() {
		defer close(w.done)
		defer stream.Close()
		defer close(w.events)
		for first := true; ; first = false {
			e, err := stream.Next(ctx)
			if first {
				close(began)
			}
			if err != nil {
				w.err = err
				return
			}
			select {
			case w.events <- e:
			case <-ctx.Done():
				w.err = ctx.Err()
				return
			}
		}
	}()
	<-began
	return w
}

// meet waits until somebody is here, lookRound at most.
func (w *watch) meet(ctx context.Context, who chat.PersonID) {
	ctx, cancel := context.WithTimeout(ctx, lookRound)
	defer cancel()
	for {
		select {
		case e, ok := <-w.events:
			if p, is := e.(chat.PersonEvent); !ok || is && p.Person.Person == who && p.Presence == chat.Here {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (w *watch) stop() {
	w.cancel()
	<-w.done
}

// deviceNamed is a device of one's own in a sentence.
func deviceNamed(label string, id chat.DeviceID) string {
	return fmt.Sprintf("%q (%s)", cell(label), id.Short())
}
