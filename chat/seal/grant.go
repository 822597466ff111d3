package seal

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"earshot/chat"
)

// grants are keys of past epochs that came before their author's share.
type grants struct {
	waiting map[epochID][]waitingGrant
	of      map[chat.DeviceID]int // of each who brought them
	count   int
}

type waitingGrant struct {
	from  chat.DeviceID
	n     uint64
	key   secret
	since time.Time
}

func newGrants() grants {
	return grants{waiting: map[epochID][]waitingGrant{}, of: map[chat.DeviceID]int{}}
}

// add keeps a grant, one of each epoch and giver, since an honest giver has one. It
// reports whether there was room for it.
func (g *grants) add(id epochID, w waitingGrant) bool {
	same := func(o waitingGrant) bool { return o.from == w.from }
	if g.count >= maxGrants || g.of[w.from] >= maxGrantsOf || slices.ContainsFunc(g.waiting[id], same) {
		return false
	}
	g.waiting[id] = append(g.waiting[id], w)
	g.of[w.from]++
	g.count++
	return true
}

// remove takes the grants of an epoch out of the books and returns them.
func (g *grants) remove(id epochID) []waitingGrant {
	out := g.waiting[id]
	delete(g.waiting, id)
	for _, w := range out {
		g.count--
		if g.of[w.from]--; g.of[w.from] == 0 {
			delete(g.of, w.from)
		}
	}
	return out
}

// keepGrant has a grant wait for its author's share.
func (e *Engine) keepGrant(id epochID, w waitingGrant) {
	if e.grants.add(id, w) {
		e.persist(grantKey(id, w.from), w.encode())
	}
}

// dropGrants returns the grants that waited for an epoch's shares; they wait no more.
func (e *Engine) dropGrants(id epochID) []waitingGrant {
	out := e.grants.remove(id)
	for _, w := range out {
		e.persist(grantKey(id, w.from), nil)
	}
	return out
}

// leaveGrants drops all that wait in a room.
func (e *Engine) leaveGrants(room chat.RoomID) {
	for _, id := range sortedEpochs(e.grants.waiting) {
		if id.room == room {
			e.dropGrants(id)
		}
	}
}

// expireGrants drops those that have waited too long.
func (e *Engine) expireGrants(now time.Time) {
	for _, id := range sortedEpochs(e.grants.waiting) {
		old := slices.Clone(e.grants.waiting[id])
		old = slices.DeleteFunc(old, func(w waitingGrant) bool { return within(now, w.since, grantLife) })
		if len(old) == 0 {
			continue
		}
		for _, w := range e.dropGrants(id) {
			if !slices.Contains(old, w) {
				e.keepGrant(id, w)
			}
		}
	}
}

// Grants returns what this device can pass on of a room's history, its own epochs
// included, ascending by device and then in the order in which it came to know them.
// There is nothing of a room that keeps nothing.
func (e *Engine) Grants(id chat.RoomID) []Grant {
	r := e.rooms[id]
	if r == nil || !r.keep {
		return nil
	}
	var out []Grant
	for _, o := range slices.SortedFunc(maps.Values(r.own), ownOrder) {
		out = append(out, Grant{Device: e.device, Epoch: o.id, Key: o.start})
	}
	for _, list := range r.epochs {
		for _, ep := range list {
			if ep.first != (secret{}) {
				out = append(out, Grant{Device: ep.device, Epoch: ep.id, N: ep.start, Key: ep.first})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Grant) int { return bytes.Compare(a.Device[:], b.Device[:]) })
	return out
}

// granted takes keys of past epochs from a member. In a room that keeps nothing they
// have no business.
func (e *Engine) granted(now time.Time, in Granted) {
	r := e.rooms[in.Room]
	if r == nil || !r.keep {
		return
	}
	for _, g := range in.Grants {
		if g.Device == e.device {
			continue // what this device said it knows, or has lost for good
		}
		if g.N >= MaxMessages || g.Epoch == 0 {
			e.refuse(in.From, invalid("a key of no epoch"))
			return
		}
		ep, w := r.epoch(g.Device, g.Epoch), waitingGrant{from: in.From, n: g.N, key: g.Key, since: now}
		switch {
		case ep == nil || !ep.announced(g.N):
			e.keepGrant(epochID{r.id, g.Device, g.Epoch}, w)
		case e.grant(now, r, ep, w):
			e.persist(epochKey(r.id, ep), ep.encode())
			e.emit(Learned{Room: r.id, Device: ep.device, Epoch: ep.id})
			e.release(now, r, ep)
		}
	}
}

// announced reports whether the author's commitment to a point is known.
func (ep *epoch) announced(n uint64) bool {
	_, ok := ep.find(n)
	return ok
}

// grant checks a key against its author's commitment, which is known, and reports
// whether more can be read with it.
func (e *Engine) grant(now time.Time, r *room, ep *epoch, w waitingGrant) bool {
	if ep.disputed || ep.held && w.n >= ep.start {
		return false
	}
	i, _ := ep.find(w.n)
	if commitment(r.id, ep.device, ep.id, w.n, w.key) != ep.points[i].commit {
		e.refuse(w.from, invalid("a key that its author did not announce"))
		return false
	}
	ep.touched = now
	return e.hold(now, r, ep, w.n, w.key)
}

// takeWaiting takes the grants that waited for a share of an epoch that has come,
// and reports whether more can be read now.
func (e *Engine) takeWaiting(now time.Time, r *room, ep *epoch) (learned bool) {
	id := epochID{r.id, ep.device, ep.id}
	for _, w := range e.dropGrants(id) {
		if !ep.announced(w.n) {
			e.keepGrant(id, w)
			continue
		}
		learned = e.grant(now, r, ep, w) || learned
	}
	return learned
}

// setKeep begins to keep the starts of a room's chains, or forgets what was kept. The
// start of a chain that is under way cannot be found again.
func (e *Engine) setKeep(r *room, keep bool) {
	if r.keep == keep {
		return
	}
	if r.keep = keep; keep {
		e.persist(keepKey(r.id), encodeKeep())
		return
	}
	e.persist(keepKey(r.id), nil)
	e.leaveGrants(r.id)
	for _, d := range sortedDevices(r.epochs) {
		for len(r.epochs[d]) > maxEpochs {
			e.forget(r, r.epochs[d][0])
		}
		for _, ep := range r.epochs[d] {
			if ep.first != (secret{}) {
				ep.first = secret{}
				e.persist(epochKey(r.id, ep), ep.encode())
			}
		}
	}
	for len(r.own) > maxOwnEpochs {
		e.dropOwn(r, oldestOwn(r.own))
	}
}

// maxEpochs bounds what is known of one other device.
func (r *room) maxEpochs() int {
	if r.keep {
		return maxKeptOf
	}
	return maxEpochs
}

// maxOwn bounds the epochs of this device that are remembered.
func (r *room) maxOwn() int {
	if r.keep {
		return maxKeptOf
	}
	return maxOwnEpochs
}

// retire ends what an old epoch of this device is remembered for: answers to who was
// given it. In a room that keeps its history its start stays.
func (e *Engine) retire(r *room, o *ownEpoch) {
	switch {
	case !r.keep:
		e.dropOwn(r, o.id)
	case len(o.to) > 0:
		clear(o.to)
		e.persist(ownKey(r.id, o.id), o.encode())
	}
}

// boundKept makes room for an epoch of a room that keeps them, if there are too many
// in all: the longest known of whoever has the most goes.
func (e *Engine) boundKept(in *room, added *epoch) {
	if !in.keep {
		return
	}
	total := 0
	for _, r := range e.rooms {
		if r.keep {
			for _, list := range r.epochs {
				total += len(list)
			}
		}
	}
	if total <= maxKept {
		return
	}
	most, of := in, added.device
	for _, id := range sortedRooms(e.rooms) {
		r := e.rooms[id]
		for _, d := range sortedDevices(r.epochs) {
			if r.keep && len(r.epochs[d]) > len(most.epochs[of]) {
				most, of = r, d
			}
		}
	}
	e.forget(most, most.epochs[of][0])
}

// oldestOwn returns the epoch that was begun first.
func oldestOwn(m map[uint64]*ownEpoch) uint64 {
	return slices.MinFunc(slices.Collect(maps.Values(m)), ownOrder).id
}

func ownOrder(a, b *ownEpoch) int {
	return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.id, b.id))
}
