package sim

import (
	"testing"

	"earshot/chat"
)

// Whom others are shown when somebody is shut out.

// Where somebody is blocked, less is said to everybody else, but not that one has gone.
func TestWhoBlocksSomebodyMustNotBeShownAsGoneToOthers(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben, cleo, dan := enter("Ann"), enter("Ben"), enter("Cleo"), enter("Dan")
	befriend(ann, ben)
	for _, d := range []*desk{ben, cleo, dan} {
		d.sees("Ann", chat.Here)
	}
	ann.say("all here?")
	cleo.hears("all here?") // and what was before
	ann.must(ann.BlockPerson(ann.ctx, dan.id()))
	dan.isGone(ann)
	ann.says(chat.Busy, "")
	ben.showing(ann, chat.Busy)
	ann.say("still here")
	cleo.never("Ann shown as gone", func(e chat.Event) bool {
		p, ok := e.(chat.PersonEvent)
		return ok && p.Person.Person == ann.id() && p.Presence == chat.Gone
	}, hearing("still here"))
	if p, _ := cleo.knows(ann.id()); p.Presence != chat.Here || p.Status.State != "" {
		t.Errorf("Cleo, a stranger, sees %+v", p)
	}
}

// Whoever holds a lost device must not make its person be here, or free.
func TestARevokedDeviceMustNotShowItsPersonAsFree(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	phone := join(o, enter, ben)
	befriend(ann, ben)
	lost, err := phone.Me(phone.ctx)
	ben.must(err)
	ann.until("both devices are here", func() bool {
		p, _ := ann.knows(ben.id())
		return len(p.Devices) == 2 && p.Devices[0].Presence == chat.Here && p.Devices[1].Presence == chat.Here
	})
	ben.must(ben.RevokeDevice(ben.ctx, lost.Device))
	ann.until("the lost one is not here", func() bool {
		p, _ := ann.knows(ben.id())
		for _, d := range p.Devices {
			if d.Device == lost.Device && d.Presence == chat.Here {
				return false
			}
		}
		return p.Presence == chat.Here
	})
	ann.must(o.Leave(ann.ctx, ben.Node))
	ann.isGone(ben)
	ann.must(ann.Watch(ann.ctx, ben.id(), true))
	phone = o.reboot(phone, "phone")
	phone.sees("Ann", chat.Here)
	cleo := enter("Cleo")
	befriend(ann, cleo) // by now she has met the phone, too
	if p, _ := ann.knows(ben.id()); p.Presence != chat.Gone || !p.Watched {
		t.Errorf("Ann sees %+v", p)
	}
}
