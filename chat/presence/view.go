package presence

import (
	"time"

	"earshot/chat"
)

// View is what is known of a device, or of all devices of a person.
type View struct {
	// Here says that there is evidence that it is here, and that it does not say
	// otherwise. Suspect, only with Here, that newer evidence is overdue.
	Here, Suspect bool
	// LastSeen is the time of the newest evidence, by this clock; zero for none. Of
	// who appears to be gone it is when that began.
	LastSeen time.Time
	// Status is what the device shows; empty where that is not shown to this one. Of
	// one that is not Here it holds a text at the most.
	Status chat.Status
	// Chosen is as in Own.
	Chosen time.Time
}

// Merge returns what devices of one person come to. A state that was chosen last on
// any of them counts for all; otherwise the most available counts.
func Merge(views []View) View {
	var out View
	for _, v := range views {
		if v.LastSeen.After(out.LastSeen) {
			out.LastSeen = v.LastSeen
		}
		if v.beats(out) {
			out.Here, out.Status, out.Chosen = v.Here, v.Status, v.Chosen
		}
	}
	out.Suspect = out.Here
	for _, v := range views {
		if v.Here && !v.Suspect {
			out.Suspect = false
		}
	}
	return out
}

// beats reports whether of two devices of one person v says more of them than w.
func (v View) beats(w View) bool {
	switch {
	case v.Here != w.Here:
		return v.Here
	case (v.Status.State == "") != (w.Status.State == ""):
		return v.Status.State != ""
	case !v.Chosen.Equal(w.Chosen):
		return v.Chosen.After(w.Chosen)
	case !v.Here && v.Status.Text != w.Status.Text:
		return w.Status.Text == ""
	}
	if a, b := rank(v.Status.State), rank(w.Status.State); a != b {
		return a < b
	}
	return v.Status.Since.Before(w.Status.Since) // since when it has been so on any
}

// rank orders states, the most available first.
func rank(a chat.Availability) int {
	for i, b := range chat.Availabilities {
		if a == b {
			return i
		}
	}
	return len(chat.Availabilities)
}
