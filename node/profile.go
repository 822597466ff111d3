package node

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/profile"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file is what people tell of themselves: this person to others, each as much as
// they may see, and others to this person.

// profilePrefix begins the keys of State under which profiles stand: contacts' as
// ShownProfile, this person's as OwnProfile.
const profilePrefix = "profile/"

// profileKey is where somebody's stands. Whoever this device was before it was paired
// is somebody else.
func profileKey(who chat.PersonID) string { return profilePrefix + who.String() }

// told is what a person tells of themselves.
type told struct {
	version chat.HLC
	profile chat.Profile
	address string // Email as it is compared; "" for none
}

func toldBy(f wire.ShownProfile) told {
	t := told{version: chat.HLC(f.Version), profile: profile.Clean(f)}
	if a, err := profile.Address(t.profile.Email); err == nil {
		t.address = a
	}
	return t
}

// frame returns what toldBy reads.
func (t told) frame() wire.ShownProfile {
	p := t.profile
	return wire.ShownProfile{Version: uint64(t.version), Title: p.Title, Department: p.Department, Email: p.Email, Location: p.Location, Phone: p.Phone}
}

// loadProfiles reads what the store holds of this person's profile and of contacts'.
func (n *Node) loadProfiles(ctx context.Context, c *core) error {
	state, err := n.store.State(ctx, profilePrefix)
	if err != nil {
		return err
	}
	for key, b := range state {
		f, err := wire.DecodeFrame(b)
		switch f := f.(type) {
		case wire.OwnProfile:
			if key == profileKey(n.person) {
				c.profile, err = profile.FromFrame(f)
			}
		case wire.ShownProfile:
			if who, bad := chat.ParsePersonID(strings.TrimPrefix(key, profilePrefix)); bad == nil && c.circle.engine.Relation(who).Known() {
				c.people.told[who] = toldBy(f)
			}
		}
		if err != nil {
			return chat.Wrap(chat.CodeHomeBroken, err, "What this home knows of people's profiles can't be read.", "Restore a backup: earshot restore FILE")
		}
	}
	c.people.told[n.person] = told{profile: c.profile.Face().Profile}
	return nil
}

// Profile returns this person's own profile.
func (n *Node) Profile(ctx context.Context) (chat.OwnProfile, error) {
	return inLoop(ctx, n, func(c *core) (chat.OwnProfile, error) { return c.profile.Face(), nil })
}

// SetProfile changes this person's own profile, on all of their devices, and returns it
// as it is kept. Who may not see a part any more is told so; what they have seen they
// may remember.
func (n *Node) SetProfile(ctx context.Context, in chat.OwnProfile) (chat.OwnProfile, error) {
	next, err := profile.Parse(in)
	if err != nil {
		return chat.OwnProfile{}, err
	}
	stored := make(chan error, 1)
	if err := n.do(ctx, func(c *core) {
		next.Version = c.profile.Version.Next(c.now)
		c.setProfile(next, chat.DeviceID{}, func(err error) { stored <- err })
	}); err != nil {
		return chat.OwnProfile{}, err
	}
	select {
	case err = <-stored:
		return next.Face(), err
	case <-ctx.Done():
		return next.Face(), ctx.Err()
	}
}

// setProfile makes a profile this person's, since they have chosen it here or, as from
// has told, on another device. then, unless nil, is told how storing it ended.
func (c *core) setProfile(next profile.Own, from chat.DeviceID, then func(error)) {
	n := c.n
	c.profile = next
	c.people.told[n.person] = told{profile: next.Face().Profile}
	n.feed.Publish(chat.ProfileEvent{OwnProfile: next.Face()})
	c.showPerson(n.person)
	b := wire.EncodeFrame(next.Frame())
	for d, link := range c.own.links {
		if link.stream != nil && d != from {
			link.stream.TrySend(b) // else it comes with the next stream
		}
	}
	c.tellProfiles()
	n.store.Commit(store.Batch{State: []store.StateChange{{Key: profileKey(n.person), Value: b}}}, func(_ []chat.Cursor, err error) {
		if err != nil {
			n.rarely("profile", slog.LevelError, "storing the profile failed", "err", err)
		}
		if then != nil {
			then(err)
		}
	})
}

// heardOwnProfile: another own device tells what this person's profile is.
func (c *core) heardOwnProfile(d chat.DeviceID, f wire.OwnProfile) {
	if chat.HLC(f.Version).Time().After(c.now.Add(chat.MaxFuture)) {
		c.n.rarely("profile", slog.LevelWarn, "a profile from the future was left out", "device", d.Short())
		return
	}
	next, err := profile.FromFrame(f)
	if err != nil {
		c.refuse(d, err)
		return
	}
	ours, theirs := wire.EncodeFrame(c.profile.Frame()), wire.EncodeFrame(next.Frame())
	if cmp.Or(cmp.Compare(next.Version, c.profile.Version), bytes.Compare(theirs, ours)) > 0 {
		c.setProfile(next, d, nil)
	}
}

// tellProfiles tells neighbours of this person what they may see, where that is
// something else than they were told before.
func (c *core) tellProfiles() {
	for d, nb := range c.neighbours {
		c.tellProfile(d, nb)
	}
}

func (c *core) tellProfile(d chat.DeviceID, nb *neighbour) {
	if c.profile.Version == 0 || nb.peer == nil {
		return
	}
	who := nb.cert.Person()
	if who == c.n.person || c.revokedBy(who, d) || !c.greets(d) {
		return
	}
	f, something := c.profile.View(func(a contacts.Audience) bool { return c.circle.engine.Sees(who, a, c.circle.privacy) })
	if !something && nb.profile == nil && !c.circle.engine.Relation(who).Known() {
		return // a contact may have been shown something on another day
	}
	if b := wire.EncodeFrame(f); !bytes.Equal(b, nb.profile) && nb.peer.TrySend(b) {
		nb.profile = b
	}
}

// heardProfile: somebody tells of themselves. Of their devices that which knows the
// newest of it is believed; of two which know the same, that which spoke last.
func (c *core) heardProfile(d chat.DeviceID, who chat.PersonID, f wire.ShownProfile) {
	if who == c.n.person || c.revokedBy(who, d) || !c.n.standings.allow(&c.n.standings.profiles, c.now, d) {
		return
	}
	old, held := c.people.told[who]
	next := toldBy(f)
	if next.version < old.version || next == old {
		return
	}
	if c.circle.engine.Relation(who).Known() {
		c.people.told[who] = next
		c.keepProfile(who)
	} else {
		if !held && (next.profile == (chat.Profile{}) || !c.people.placeForStranger()) {
			return
		}
		c.people.told[who] = next
	}
	if next.profile != old.profile {
		c.showPerson(who)
	}
}

// placeForStranger makes room for what one more stranger tells of themselves, and
// reports whether there is any: that of strangers is kept while they are here, in
// memory.
func (p *people) placeForStranger() bool {
	strangers, over := 0, chat.PersonID{}
	for who := range p.told {
		if who == p.self || p.relation(who).Known() {
			continue
		}
		strangers++
		if !p.connected(who) {
			over = who
		}
	}
	if strangers < chat.MaxStrangers {
		return true
	}
	if over.IsZero() {
		return false
	}
	delete(p.told, over)
	return true
}

// connected reports whether a device of somebody is.
func (p *people) connected(who chat.PersonID) bool {
	per := p.persons[who]
	return per != nil && slices.ContainsFunc(per.devices, func(d *device) bool { return d.connected })
}

// keepProfile has the store hold what a contact tells of themselves.
func (c *core) keepProfile(who chat.PersonID) {
	c.storeProfile(who, wire.EncodeFrame(c.people.told[who].frame()))
}

func (c *core) storeProfile(who chat.PersonID, value []byte) {
	n := c.n
	n.store.Commit(store.Batch{State: []store.StateChange{{Key: profileKey(who), Value: value}}}, func(_ []chat.Cursor, err error) {
		if err != nil { // they tell it again
			n.rarely("profile", slog.LevelError, "storing a profile failed", "err", err)
		}
	})
}

// settleProfile keeps or forgets what somebody tells of themselves, now that the
// relation to them is r.
func (c *core) settleProfile(r contacts.Record) {
	switch _, held := c.people.told[r.Person]; {
	case !held:
		return
	case r.Relation.Known():
		c.keepProfile(r.Person)
		return
	}
	c.storeProfile(r.Person, nil)
	if r.Relation == contacts.Blocked || !c.people.connected(r.Person) {
		delete(c.people.told, r.Person)
	}
}

// leftProfile: a device of somebody is gone, and with their last one what they have
// told as a stranger.
func (c *core) leftProfile(who chat.PersonID) {
	if who != c.n.person && !c.circle.engine.Relation(who).Known() && !c.people.connected(who) {
		delete(c.people.told, who)
	}
}

// FindEmail returns the contacts who go by an e-mail address, whoever is verified
// first. What somebody else claims counts for nothing.
func (n *Node) FindEmail(ctx context.Context, email string) ([]chat.Person, error) {
	address, err := profile.Address(strings.TrimSpace(email))
	if err != nil {
		return nil, err
	}
	return inLoop(ctx, n, func(c *core) (out []chat.Person, _ error) {
		for who, t := range c.people.told {
			if t.address != address || !c.circle.engine.Relation(who).Known() {
				continue
			}
			if p, ok := c.people.person(who); ok {
				out = append(out, p)
			}
		}
		if len(out) == 0 {
			return nil, chat.Errorf(chat.CodeNotFound, "No contact has told you the address %s. Look at your contacts, or ask them to put it into their profile for you to see.", address)
		}
		slices.SortFunc(out, func(a, b chat.Person) int {
			// "verified" is behind "contact".
			return cmp.Or(strings.Compare(string(b.Relation), string(a.Relation)), strings.Compare(a.Name, b.Name), comparePersons(a.Person, b.Person))
		})
		return out, nil
	})
}
