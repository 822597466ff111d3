package private

import (
	"bytes"
	"crypto/sha256"
	"reflect"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/membership"
	"earshot/chat/seal"
	"earshot/chat/wire"
)

// conversation is a direct chat or a private room.
type conversation struct {
	id      chat.RoomID
	me      chat.PersonID
	with    chat.PersonID // of a direct chat
	order   uint64        // Engine.joined when it was learnt of
	inviter chat.PersonID // who brought it, until this person is a member; or zero
	entered bool

	// Of a private room; nil in a direct chat.
	log   *membership.Log
	ops   []Operation                // in the log's places
	waits map[chat.EntryID]Operation // which miss others that they build on
	root  [32]byte                   // over the first rooted of ops
	ids   []chat.EntryID             // of those
	kept  bool                       // its operations are stored

	posted  [32]byte        // hash of the prekey that this device posted last
	named   string          // what this person was last said to be called, and to whom
	namedTo []chat.PersonID // ascending
	history history

	known      bool // chat/seal was told the recipients, who are:
	recipients []seal.Recipient
	view       [32]byte
	keyless    []chat.DeviceID
	others     []chat.PersonID // who is given keys beside this person, ascending
	reachable  []chat.PersonID // those of them who have a device that can be
	// limits says until when what somebody wrote is shown, of all who are or were in.
	limits map[chat.PersonID]chat.HLC
	from   chat.HLC // when this person joined, if newcomers do not read what was before
	clock  chat.HLC // highest seen, of clocks that are not ahead
	// What is known of the room's past, and of which operations.
	past       pastOf
	tenures    []membership.Tenure
	retentions []membership.Retention
	shown      *Info // as faces were told last
	tellAt     time.Time
}

// pastOf stands for what a room's past is made of.
type pastOf struct {
	operations int
	view       [32]byte
}

func (r *conversation) direct() bool { return r.log == nil }

// concerns reports whether somebody is in the conversation or invited to it.
func (r *conversation) concerns(who chat.PersonID) bool {
	if r.direct() {
		return who == r.with || who == r.me
	}
	s := r.log.State()
	if _, in := s.Member(who); in {
		return true
	}
	_, invited := s.Invitation(who)
	return invited
}

// audience returns whose devices are given keys, ascending.
func (r *conversation) audience() []chat.PersonID {
	if r.direct() {
		out := []chat.PersonID{r.me, r.with}
		slices.SortFunc(out, comparePeople)
		return slices.Compact(out)
	}
	var out []chat.PersonID
	s := r.log.State()
	for _, m := range s.Members {
		out = append(out, m.Person)
	}
	if s.History == membership.HistoryInvited {
		for _, i := range s.Invited {
			out = append(out, i.Person)
		}
	}
	slices.SortFunc(out, comparePeople)
	return out
}

// includes reports whether this person is in.
func (r *conversation) includes() bool {
	if r.direct() {
		return true
	}
	_, in := r.log.State().Member(r.me)
	return in
}

// update brings everything in line with who is in a conversation and what is known of
// their devices.
func (e *Engine) update(r *conversation) {
	var void []chat.PersonID
	if !r.direct() {
		void = e.weigh(r)
		s := r.log.State()
		for _, m := range s.Members {
			e.keep(m.Person)
		}
		for _, i := range s.Invited {
			e.keep(i.Person)
		}
	} else {
		e.keep(r.with)
	}
	switch in := r.includes(); {
	case in && !r.entered:
		r.entered = true
		e.emit(Enter{Room: r.id})
		e.joinedAt(r)
	case !in && r.entered:
		e.exit(r)
	}
	if r.entered {
		e.shareWith(r)
		e.postPrekey(r)
		e.passListsOn(r, void)
		if r.named != e.cfg.Name {
			e.introduce(r)
		}
		e.limit(r)
	}
	for _, to := range sortedDevices(e.connected) {
		if r.concerns(e.connected[to].person) {
			e.sendList(to)
		}
	}
	e.show(r)
}

// exit takes no more part in a room, and forgets its keys.
func (e *Engine) exit(r *conversation) {
	e.run(seal.Leave{Room: r.id}, nil)
	e.emit(Exit{Room: r.id})
	r.entered, r.known, r.recipients, r.keyless, r.others, r.reachable, r.limits = false, false, nil, nil, nil, nil, nil
	r.posted, r.named, r.namedTo, r.history = [32]byte{}, "", nil, history{}
	e.keepRoom(r)
}

// shareWith tells chat/seal whose devices read what is sealed from now on.
func (e *Engine) shareWith(r *conversation) {
	var list []seal.Recipient
	h := sha256.New()
	h.Write([]byte(domainView))
	if !r.direct() {
		view := r.log.State().View
		h.Write(view[:])
	}
	r.keyless, r.others, r.reachable = nil, nil, nil
	for _, who := range r.audience() {
		if who != r.me {
			r.others = append(r.others, who)
			if e.reachable(who) {
				r.reachable = append(r.reachable, who)
			}
		}
		h.Write(who[:])
		l, _ := e.List(who)
		var hash identity.ListHash
		if l.Bytes() != nil {
			hash = l.Hash()
		}
		h.Write(hash[:])
		for _, id := range e.InUse(who) {
			if id == e.device {
				continue
			}
			d := e.deviceOf(who, id)
			if d == nil || d.prekey.IsZero() {
				r.keyless = append(r.keyless, id)
			}
			if d != nil {
				list = append(list, seal.Recipient{Certificate: d.cert, Prekey: d.prekey})
			}
		}
	}
	slices.SortFunc(r.keyless, compareDevices)
	view := [32]byte(h.Sum(nil))
	same := slices.EqualFunc(list, r.recipients, func(a, b seal.Recipient) bool {
		return bytes.Equal(a.Certificate.Bytes(), b.Certificate.Bytes()) && bytes.Equal(a.Prekey.Bytes(), b.Prekey.Bytes())
	})
	if r.known && same && view == r.view {
		return
	}
	r.known, r.recipients, r.view = true, list, view
	keep := !r.direct() && r.log.State().History == membership.HistoryAll
	e.run(seal.Recipients{Room: r.id, View: view, Devices: slices.Clone(list), Keep: keep}, nil)
}

// speaksTo reports whether there is a device that what is sealed now is sealed to.
func (e *Engine) speaksTo(r *conversation) bool {
	return slices.ContainsFunc(r.recipients, func(d seal.Recipient) bool { return !d.Prekey.IsZero() })
}

// postPrekey tells a room under which key this device is to be given keys, if that is
// news there.
func (e *Engine) postPrekey(r *conversation) {
	k := e.seal.Prekey()
	hash := sha256.Sum256(k.Bytes())
	if !r.entered || k.IsZero() || r.posted == hash {
		return
	}
	r.posted = hash
	e.appendTo(r, Append{Room: r.id, Kind: wire.KindPrekey, Payload: k.Bytes()})
	e.keepRoom(r)
}

// introduce tells a private room what this person is called and which devices they use,
// if anybody there can read it. In direct chats both know.
func (e *Engine) introduce(r *conversation) {
	if r.direct() || len(r.reachable) == 0 {
		return
	}
	r.named, r.namedTo = e.cfg.Name, r.reachable
	e.keepRoom(r)
	e.put(r, wire.KindProfile, wire.Marshal(wire.Profile{Name: e.cfg.Name}))
	if l, known := e.List(r.me); known {
		e.put(r, wire.KindDevices, l.Bytes())
	}
}

// rename tells every private room the new name.
func (e *Engine) rename(in Rename) {
	e.cfg.Name = chat.CleanName(in.Name)
	for id, r := range e.rooms {
		if r.entered {
			e.dirty[id] = true
		}
	}
}

// limit finds out until when what people wrote is shown, and has those handed over
// again who may be shown more than before.
func (e *Engine) limit(r *conversation) {
	if r.direct() {
		return
	}
	s := r.log.State()
	limits := map[chat.PersonID]chat.HLC{}
	for _, m := range s.Members {
		limits[m.Person] = chat.MaxHLC
	}
	for _, out := range s.Removed {
		limits[out.Person] = r.exitOf(out.Person)
	}
	for _, i := range s.Invited {
		limits[i.Person] = r.exitOf(i.Person)
	}
	r.from = 0
	if m, in := s.Member(r.me); in && s.History != membership.HistoryAll {
		since := m.Since
		if s.History == membership.HistoryInvited {
			since = m.Invite
		}
		op, _ := r.log.Op(since)
		r.from = op.HLC
	}
	if r.limits != nil {
		for _, who := range sortedPeople(limits) {
			if limits[who] <= r.limits[who] || e.people[who] == nil {
				continue
			}
			for _, d := range sortedDevices(e.people[who].devices) {
				e.emit(Retry{Room: r.id, Device: d})
			}
		}
	}
	r.limits = limits
}

// exitOf returns the clock of the operation by which somebody who was in went out, 0
// for who never was in.
func (r *conversation) exitOf(who chat.PersonID) (first chat.HLC) {
	if !r.log.Ever(who) {
		return 0
	}
	for _, op := range r.log.Exits(who) {
		if first == 0 || op.HLC < first {
			first = op.HLC
		}
	}
	return first
}

// show tells faces what has changed.
func (e *Engine) show(r *conversation) {
	info := e.info(r)
	if r.shown != nil && reflect.DeepEqual(info, *r.shown) {
		return
	}
	r.shown = &info
	e.emit(Changed{Info: info})
}

func (e *Engine) info(r *conversation) Info {
	info := Info{Room: r.id, Direct: r.direct(), With: r.with, Entered: r.entered, Keyless: slices.Clone(r.keyless)}
	if r.direct() {
		info.Role = membership.RoleMember
		for _, who := range r.audience() {
			info.Members = append(info.Members, membership.Member{Person: who, Role: membership.RoleMember})
		}
		return info
	}
	s := r.log.State()
	info.Creator, info.History = s.Creator, s.History
	if s.Name != "" {
		info.Name = chat.CleanName(s.Name)
	}
	info.Disappear, info.Keep = s.Disappear, s.Keep
	if past := (pastOf{r.log.Len(), s.View}); r.past != past {
		r.past, r.tenures, r.retentions = past, r.log.Tenures(), r.log.Retentions()
	}
	info.Tenures, info.Retentions = r.tenures, r.retentions
	info.Topic = strings.Join(strings.Fields(chat.CleanText(s.Topic)), " ")
	info.Members, info.Invited = slices.Clone(s.Members), slices.Clone(s.Invited)
	if m, ok := s.Member(r.me); ok {
		info.Role = m.Role
	} else if i, ok := s.Invitation(r.me); ok {
		invite, _ := r.log.Op(i.Invite)
		info.Invitation, info.InvitedAt = &i, invite.HLC
	}
	if i := slices.IndexFunc(s.Removed, func(o membership.Removed) bool { return o.Person == r.me }); i >= 0 {
		info.Removed = &s.Removed[i]
	}
	return info
}

// Info returns what there is to show of a room; false for one that is not known.
func (e *Engine) Info(room chat.RoomID) (Info, bool) {
	r := e.rooms[room]
	if r == nil {
		return Info{}, false
	}
	return e.info(r), true
}

// Infos returns the same of all rooms, ascending by room.
func (e *Engine) Infos() (out []Info) {
	for _, id := range sortedRooms(e.rooms) {
		out = append(out, e.info(e.rooms[id]))
	}
	return out
}

// Shares reports whether a sealed room may be named to a device, and what its logs hold
// given to it: to those that its members and this person use.
func (e *Engine) Shares(room chat.RoomID, device chat.DeviceID) bool {
	r, d := e.rooms[room], e.devices[device]
	if r == nil || d == nil || !r.entered || !e.uses(d.person, device) {
		return false
	}
	if r.direct() {
		return d.person == r.with || d.person == r.me
	}
	_, in := r.log.State().Member(d.person)
	return in
}

// MayWrite reports whether a person is, or ever was, in a sealed room, so that logs of
// theirs belong there.
func (e *Engine) MayWrite(room chat.RoomID, who chat.PersonID) bool {
	switch r := e.rooms[room]; {
	case r == nil:
		return false
	case r.direct():
		return who == r.with || who == r.me
	default:
		return r.log.Ever(who)
	}
}

// Predates reports whether what was said in a room at h is not for this person, who was
// not in then. Nothing of it is missing here.
func (e *Engine) Predates(room chat.RoomID, h chat.HLC) bool {
	r := e.rooms[room]
	return r != nil && h < r.from
}

// Prekey returns this device's prekey for its Hello, nil before Start.
func (e *Engine) Prekey() []byte { return e.seal.Prekey().Bytes() }

// openDirect takes part in the chat with a contact.
func (e *Engine) openDirect(in OpenDirect) {
	if e.rooms[in.Room] != nil || in.With == e.cfg.Person {
		return
	}
	e.joined++
	r := &conversation{id: in.Room, me: e.cfg.Person, with: in.With, order: e.joined}
	e.rooms[in.Room] = r
	e.keepRoom(r)
	e.dirty[in.Room] = true
}

// closeDirect ends it.
func (e *Engine) closeDirect(in CloseDirect) {
	if r := e.rooms[in.Room]; r != nil && r.direct() {
		if r.entered {
			e.exit(r)
		}
		e.forget(r)
	}
}

// forget removes everything that is stored of a room.
func (e *Engine) forget(r *conversation) {
	e.persist(roomKey(r.id), nil)
	for i := range r.ops {
		e.persist(opKey(r.id, i), nil)
	}
	delete(e.rooms, r.id)
	delete(e.dirty, r.id)
	for _, p := range e.connected {
		delete(p.rooms, r.id)
	}
	if !r.direct() { // who invites without end must not fill this home with people
		e.dropUnconcerned()
	}
	e.emit(Changed{Info: Info{Room: r.id}})
}

// start begins: chat/seal is told the time first, then who reads what in every room.
func (e *Engine) start() {
	e.run(seal.Tick{}, nil)
	e.dropUnconcerned()
	for id, r := range e.rooms {
		e.dirty[id], e.toldBy[id] = true, true
		for _, o := range r.ops {
			e.see(r, o.HLC)
		}
	}
}

// see notes a clock of a room, so that what is made here comes later.
func (e *Engine) see(r *conversation, h chat.HLC) {
	if h <= chat.HLCOf(e.now.Add(chat.MaxFuture)) {
		r.clock = max(r.clock, h)
	}
}

// dropUnconcerned forgets what was kept of people who share nothing with this person
// any more.
func (e *Engine) dropUnconcerned() {
	concerned := map[chat.PersonID]bool{e.cfg.Person: true}
	for _, r := range e.rooms {
		if r.direct() {
			concerned[r.with] = true
			continue
		}
		s := r.log.State()
		for _, m := range s.Members {
			concerned[m.Person] = true
		}
		for _, i := range s.Invited {
			concerned[i.Person] = true
		}
		for _, o := range s.Removed {
			concerned[o.Person] = true
		}
	}
	for _, who := range sortedPeople(e.people) {
		p := e.people[who]
		if !p.kept || concerned[who] {
			continue
		}
		here := false
		for _, d := range sortedDevices(p.devices) {
			e.persist(deviceKey(d), nil)
			here = here || e.connected[d] != nil
		}
		if p.registry != nil {
			e.persist(listKey(who), nil)
		}
		if p.kept = false; here {
			continue // a stranger now, like others who are here
		}
		for d := range p.devices {
			delete(e.devices, d)
		}
		delete(e.people, who)
	}
}
