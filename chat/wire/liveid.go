package wire

import "earshot/chat"

// LiveID returns the id of the entry that a gossip message carries, without
// checking anything else in it; false if there is none to be found.
func LiveID(b []byte) (chat.EntryID, bool) {
	var l live
	if len(b) > MaxLive || Unmarshal(b, &l) != nil || len(l.Head) > chat.MaxHeader {
		return chat.EntryID{}, false
	}
	return entryID(l.Head), true
}
