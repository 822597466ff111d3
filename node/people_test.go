package node

import (
	"encoding/binary"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/store"
)

func personNo(i int) (p chat.PersonID) {
	binary.BigEndian.PutUint64(p[:], uint64(i)+1)
	return p
}

func TestTheNewestEvidenceGivesTheName(t *testing.T) {
	now := time.Now()
	p := newPeople(personNo(0), nil)
	for i, step := range []struct {
		name  string
		at    time.Time
		fresh bool
		want  string
	}{
		{"Ann", now, true, "Ann"},
		{"Old Ann", now.Add(-time.Hour), false, "Ann"},
		{"", now.Add(time.Hour), false, "Ann"},
		{"Ann", now.Add(time.Minute), false, "Ann"},
		{"Anna", now, false, "Ann"}, // the same name was newer
		{"Anna", now.Add(time.Hour), true, "Anna"},
	} {
		if fresh := p.meet(numbered(1), personNo(1), step.name, step.at); fresh != step.fresh {
			t.Errorf("step %d: fresh %v", i, fresh)
		}
		if got := p.author(numbered(1), personNo(1)).Name; got != step.want {
			t.Errorf("step %d: %q, not %q", i, got, step.want)
		}
	}
}

func TestPeopleStandInOrder(t *testing.T) {
	now := time.Now()
	p := newPeople(personNo(0), []store.DeviceRow{
		{Device: numbered(3), Person: personNo(3), Name: "Abe", LastSeen: now.Add(-time.Hour)},
		{Device: numbered(0), Person: personNo(0), Name: "Zoe", LastSeen: now},
		{Device: numbered(2), Person: personNo(2), Name: "Ben", LastSeen: now},
		{Device: numbered(4), Person: personNo(4), Name: "Cleo", LastSeen: now},
		{Device: numbered(5), Person: personNo(5), Name: "Cleo", LastSeen: now},
	})
	p.meet(numbered(6), personNo(2), "Ben", now)
	p.devices[numbered(6)].connected = true
	p.devices[numbered(5)].connected = true
	var names []string
	all := p.all()
	for _, who := range all {
		names = append(names, who.Name)
	}
	for i, want := range []string{"Zoe", "Ben", "Cleo (" + personNo(5).String()[:20] + ")", "Abe", "Cleo (" + personNo(4).String()[:20] + ")"} {
		if names[i] != want {
			t.Fatalf("%v", names)
		}
	}
	if !all[0].Me || all[1].Presence != chat.Here || all[2].Person != personNo(5) || all[3].Presence != chat.Gone {
		t.Errorf("%+v", all)
	}
	ben := all[1]
	if len(ben.Devices) != 2 || ben.Devices[0].Presence != chat.Gone || ben.Devices[1].Presence != chat.Here || !ben.LastSeen.Equal(now) {
		t.Errorf("Ben is %+v", ben)
	}
	if _, ok := p.person(personNo(9)); ok {
		t.Error("somebody nobody met is known")
	}
}

func TestACrowdIsForgottenBeforeThoseWhoMatter(t *testing.T) {
	now := time.Now()
	p := newPeople(personNo(-1), nil)
	p.meet(numbered(-1), personNo(-1), "Me", time.Time{})
	p.meet(numbered(-2), personNo(-2), "Here", time.Time{})
	p.devices[numbered(-2)].connected = true
	p.meet(numbered(-3), personNo(-3), "Just read", now.Add(time.Hour))
	p.meet(numbered(-4), personNo(-4), "Just left", time.Time{})
	p.devices[numbered(-4)].lastSeen = now.Add(time.Hour)
	for i := range 3 * maxPeople {
		p.meet(numbered(i), personNo(i), "Mallory", now.Add(time.Duration(i)))
		if p.devices[numbered(i)] == nil || p.persons[personNo(i)] == nil {
			t.Fatal("who was just met is forgotten")
		}
	}
	// One device that shows ever new persons is a crowd, too.
	for i := range 2 * maxPeople {
		p.meet(numbered(0), personNo(-100-i), "Mallory", now)
	}
	if len(p.devices) > maxPeople || len(p.persons) > maxPeople {
		t.Errorf("%d devices of %d persons are remembered", len(p.devices), len(p.persons))
	}
	for i := -1; i >= -4; i-- {
		if p.devices[numbered(i)] == nil || p.persons[personNo(i)] == nil {
			t.Errorf("%d is forgotten", i)
		}
	}
	for id, d := range p.devices {
		if d.id != id || p.persons[d.person.id] != d.person {
			t.Fatal("a device is nobody's")
		}
	}
}

func TestADeviceThatJoinsAnotherPersonIsTheirsAndOldEntriesDoNotTakeItBack(t *testing.T) {
	p := newPeople(chat.PersonID{9}, nil)
	at := time.Unix(1, 0)
	phone, laptop, nobody, ann := chat.DeviceID{1}, chat.DeviceID{2}, chat.PersonID{1}, chat.PersonID{2}
	p.meet(phone, nobody, "phone", at)
	p.meet(laptop, ann, "Ann", at)
	if !p.move(phone, ann) || p.move(phone, ann) {
		t.Error("it did not move, or moved twice")
	}
	p.meet(phone, nobody, "phone", at.Add(1)) // an entry of a log that it opened before
	who, _ := p.person(ann)
	if len(who.Devices) != 2 || p.devices[phone].person.id != ann {
		t.Errorf("Ann is %+v", who)
	}
	if other, ok := p.person(nobody); ok && len(other.Devices) != 0 {
		t.Errorf("the device is also of %+v", other)
	}
}
