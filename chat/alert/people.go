package alert

import (
	"slices"
	"time"

	"earshot/chat"
)

// This file is what calls this person beside messages. A stranger can ask to be a
// contact, and make as many strangers as they like: however many ask, they ring once
// in a while.

// requests notes who waits to become a contact. Who was there before does not call
// again.
func (e *Engine) requests(in Requests) {
	still := make(map[chat.PersonID]struct{}, len(in.From))
	fresh := e.asked[:0:0]
	for _, who := range in.From {
		still[who.Person] = struct{}{}
		_, known := e.asking[who.Person]
		if !known || slices.ContainsFunc(e.asked, func(a chat.Author) bool { return a.Person == who.Person }) {
			fresh = append(fresh, who)
		}
	}
	e.asking, e.asked = still, fresh
}

// tellRequests tells of those who have begun to ask, as often as that may be.
func (e *Engine) tellRequests(now time.Time) []Effect {
	if len(e.asked) == 0 || !rested(now, e.askedAt) {
		return nil
	}
	asked := e.asked
	e.asked = nil
	if !e.settings.Desktop || !e.mayInterrupt(now, false) {
		return nil
	}
	e.askedAt = now
	return []Effect{e.requested(asked)}
}

// invitation tells of an invitation, once.
func (e *Engine) invitation(now time.Time, in Invited) []Effect {
	if _, told := e.invited[in.RoomID]; told {
		return nil
	}
	if len(e.invited) >= chat.MaxSealedRooms {
		clear(e.invited) // at the worst one is told of again
	}
	e.invited[in.RoomID] = struct{}{}
	if !e.settings.Desktop || !e.mayInterrupt(now, false) {
		return nil
	}
	return []Effect{e.invites(in)}
}

// free tells that somebody is free now. The person has asked for it, but not to be
// disturbed for it.
func (e *Engine) free(now time.Time, in Free) []Effect {
	if !e.settings.Desktop || !e.mayInterrupt(now, false) {
		return nil
	}
	return []Effect{e.isFree(in.Person)}
}

// InQuiet reports whether a moment of a day, by its own zone, lies between two times
// of day as "22:00": from the first on and before the second, over midnight where
// that is the smaller one. Nothing does where one of them can't be read.
func InQuiet(now time.Time, from, to string) bool {
	begin, ok1 := TimeOfDay(from)
	end, ok2 := TimeOfDay(to)
	if !ok1 || !ok2 {
		return false
	}
	at := time.Duration(now.Hour())*time.Hour + time.Duration(now.Minute())*time.Minute
	if begin <= end {
		return begin <= at && at < end
	}
	return at >= begin || at < end
}

// TimeOfDay returns how far into a day the clock shows s, such as "22:00".
func TimeOfDay(s string) (time.Duration, bool) {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, false
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, true
}
