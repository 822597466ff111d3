package main

import (
	"context"
	"strings"

	"earshot/chat"
)

// This file is this person's own devices.

func runDevices(ctx context.Context, a *app, _ []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		devices, err := s.Devices(ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, d := range devices {
			if a.p.json {
				if err := a.p.object(d); err != nil {
					return err
				}
				continue
			}
			added := ""
			if !d.AddedAt.IsZero() {
				added = a.p.stamp(d.AddedAt)
			}
			rows = append(rows, []string{d.Label, whereIs(a.p, d), added, d.Device.Short()})
		}
		if a.p.json {
			return nil
		}
		return a.p.table([]string{"NAME", "WHERE", "ADDED", "DEVICE"}, rows, "You have no device, which can't be.")
	})
}

func whereIs(p *printer, d chat.OwnDevice) string {
	switch {
	case d.Revoked:
		return "✗ revoked"
	case d.This:
		return "this one"
	}
	return p.state(chat.Person{Presence: d.Presence, LastSeen: d.LastSeen})
}

// findDevice returns the device in use that ref means.
func findDevice(devices []chat.OwnDevice, ref string) (chat.OwnDevice, error) {
	plain := func(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "-", "")) }
	var found []chat.OwnDevice
	var list []string
	for _, d := range devices {
		byID := len(plain(ref)) >= 6 && strings.HasPrefix(plain(d.Device.String()), plain(ref))
		if !d.Revoked && (byID || strings.EqualFold(d.Label, ref)) {
			found = append(found, d)
			list = append(list, deviceNamed(d.Label, d.Device))
		}
	}
	switch len(found) {
	case 0:
		return chat.OwnDevice{}, chat.Errorf(chat.CodeNotFound, "You have no device %q in use. See `earshot device list`.", cell(ref))
	case 1:
		return found[0], nil
	}
	return chat.OwnDevice{}, chat.Errorf(chat.CodeAmbiguous, "%d of your devices fit %q: %s. Give the id of the one that is meant.", len(found), cell(ref), strings.Join(list, ", "))
}

func runRevoke(ctx context.Context, a *app, args []string) error {
	return a.with(ctx, need{network: true}, func(s *session) error {
		devices, err := s.Devices(ctx)
		if err != nil {
			return err
		}
		d, err := findDevice(devices, args[0])
		if err != nil {
			return err
		}
		name := deviceNamed(d.Label, d.Device)
		if err := a.sure(ctx, name+" stops being your device, for good: it reads nothing that is said in private from now on, and can say nothing there. What it has read stays on it."); err != nil {
			return err
		}
		return s.passOn(ctx, chat.Room{}, func() error {
			if err := s.RevokeDevice(ctx, d.Device.String()); err != nil {
				return err
			}
			if a.p.json {
				d.Revoked, d.Presence = true, chat.Gone
				return a.p.object(d)
			}
			return a.p.line("%s is revoked. Others learn of it as they meet one of your devices.", name)
		})
	})
}

// mayConfirm says early that nobody could confirm a pairing.
func (a *app) mayConfirm() error {
	if a.opt.yes || a.canAsk() {
		return nil
	}
	return chat.Errorf(chat.CodeUsage, "There is no terminal to confirm the other device at. Confirm it now, with --yes.")
}

func runAddDevice(ctx context.Context, a *app, _ []string) error {
	if err := a.mayConfirm(); err != nil {
		return err
	}
	return a.with(ctx, need{network: true, lasting: true}, func(s *session) error {
		p := pairing{app: a, s: s}
		p.begin = s.AddDevice
		p.question = func(now chat.Pairing) string {
			return "A device that calls itself " + deviceNamed(now.Label, now.Device) + " knows the code. As yours it reads what you read, and speaks as you. Add it?"
		}
		p.told = func(now chat.Pairing) error {
			return a.p.line("%s is a device of yours now.", deviceNamed(now.Label, now.Device))
		}
		return p.run(ctx)
	})
}

func runJoinDevice(ctx context.Context, a *app, args []string) error {
	if err := a.mayConfirm(); err != nil {
		return err
	}
	return a.with(ctx, need{network: true, lasting: true, alone: true}, func(s *session) error {
		me, err := s.Me(ctx)
		if err != nil {
			return err
		}
		p := pairing{app: a, s: s, me: me.Person}
		p.begin = func(ctx context.Context) (chat.Pairing, error) {
			return s.JoinDevice(ctx, strings.Join(args, " "), a.opt.label)
		}
		p.question = func(now chat.Pairing) string {
			return "The device " + deviceNamed(now.Label, now.Device) + " shows the code. This home becomes a device of its person, and " +
				called(chat.Person{Person: me.Person, Name: me.Name}) + ", who it belonged to, ends. Go on?"
		}
		p.told = func(chat.Pairing) error {
			return a.p.line("This is a device of theirs now. Run `earshot`: what was said comes from the other device.")
		}
		return p.run(ctx)
	})
}

// pairing is the adding of a device, on either of the two.
type pairing struct {
	app      *app
	s        *session
	begin    func(context.Context) (chat.Pairing, error)
	question func(chat.Pairing) string
	told     func(chat.Pairing) error // when it is done
	me       chat.PersonID            // on the new device: whom the home belonged to
	state    chat.PairingState
}

// run goes on until the device is added or not. A person who leaves calls it off.
func (p *pairing) run(ctx context.Context) (err error) {
	watch := watchEvents(ctx, p.s.Client)
	defer watch.stop()
	now, err := p.begin(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && !p.state.Over() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
			defer cancel()
			_ = p.s.CancelPairing(ctx) // ends by itself otherwise
		}
	}()
	var answers <-chan reply
	for {
		asks, err := p.show(now)
		switch {
		case err != nil || p.state.Over():
			return err
		case asks && p.app.opt.yes:
			if err := p.s.ConfirmDevice(ctx, true); err != nil {
				return err
			}
		case asks:
			answers = p.app.question(p.question(now) + " [y/n] ")
		}
		for again := true; again; {
			select {
			case e, ok := <-watch.events:
				switch e := e.(type) {
				case chat.PairingEvent:
					now, again = e.Pairing, false
				case chat.GapEvent:
					if p.joined(ctx) {
						now.State, again = chat.PairingDone, false
					}
				}
				if !ok {
					return watch.err
				}
			case r := <-answers:
				yes, clear, err := p.app.answered(r)
				switch {
				case err != nil:
					return err
				case !clear:
					answers = p.app.question("Say y or n: ")
					continue
				}
				answers = nil
				if err := p.s.ConfirmDevice(ctx, yes); err != nil {
					return err
				}
				if !yes {
					return errDeclined
				}
				p.app.p.note("Waiting for the same on the other device.")
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// joined reports whether the home belongs to another person by now: the node of the
// new device ends as it becomes theirs, maybe before it is heard.
func (p *pairing) joined(ctx context.Context) bool {
	if p.me.IsZero() {
		return false
	}
	me, err := p.s.Me(ctx)
	return err == nil && me.Person != p.me
}

// show tells a state once, and reports whether the person is to confirm now.
func (p *pairing) show(now chat.Pairing) (asks bool, err error) {
	if now.State == p.state {
		return false, nil
	}
	p.state = now.State
	out := p.app.p
	p.app.leaveQuestion()
	if out.json {
		if err := out.object(now); err != nil {
			return false, err
		}
	}
	switch {
	case now.State == chat.PairingConfirm:
		return true, nil
	case now.State == chat.PairingFailed:
		reason := cell(now.Reason)
		if reason == "" {
			reason = "The other device did not answer as it should."
		}
		return false, chat.Errorf(chat.CodeDenied, "%s No device was added. Begin again with `earshot device add` on the device that is yours.", reason)
	case out.json:
	case now.State == chat.PairingDone:
		return false, p.told(now)
	case now.Code == "":
		out.note("Looking for the device that shows the code. Ctrl+C ends it.")
	default:
		if err := out.line("On the new device, within %d minutes: earshot device join %s", max(1, int(now.Expires.Sub(out.now()).Minutes()+0.5)), cell(now.Code)); err != nil {
			return false, err
		}
		if now.QR != "" {
			if err := out.code(now.QR, "The same as a code, whose text may be given instead:"); err != nil {
				return false, err
			}
		}
		out.note("Waiting for it. Ctrl+C ends it.")
	}
	return false, nil
}
