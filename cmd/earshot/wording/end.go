package wording

import (
	"time"

	"earshot/chat"
)

// This file is when something ends, as people write it.

// ParseEnd reads when a status ends: lasting is a length such as "1h", until a time of
// day or a date with one, in the zone of now; one of the two, or neither for the zero
// time. A time of day that is over is tomorrow's.
func ParseEnd(lasting, until string, now time.Time) (time.Time, error) {
	var end time.Time
	switch {
	case lasting != "" && until != "":
		return end, chat.Errorf(chat.CodeUsage, "A length and a time both say when it ends. Give only one of them.")
	case lasting != "":
		d, err := ParseLasting(lasting)
		if err != nil || d == 0 {
			return end, chat.Errorf(chat.CodeUsage, "%.40q is no length of time. Give a number with m, h, d or w behind it, such as 45m or 1h.", lasting)
		}
		end = now.Add(d)
	case until != "":
		var err error
		if end, err = parseUntil(until, now); err != nil {
			return end, err
		}
	default:
		return end, nil
	}
	if end.After(now.Add(chat.MaxStatusFor)) {
		return time.Time{}, chat.Errorf(chat.CodeUsage, "That is more than a year ahead. Choose a nearer end, or none.")
	}
	return end, nil
}

func parseUntil(s string, now time.Time) (time.Time, error) {
	if at, err := time.Parse("15:04", s); err == nil {
		y, m, d := now.Date()
		end := time.Date(y, m, d, at.Hour(), at.Minute(), 0, 0, now.Location())
		if !end.After(now) {
			end = time.Date(y, m, d+1, at.Hour(), at.Minute(), 0, 0, now.Location())
		}
		return end, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04"} {
		end, err := time.ParseInLocation(layout, s, now.Location())
		switch {
		case err != nil:
			continue
		case !end.After(now):
			return end, chat.Errorf(chat.CodeUsage, "%s is over. Give a time that is not.", s)
		}
		return end, nil
	}
	return time.Time{}, chat.Errorf(chat.CodeUsage, "%.40q is no time. Give one such as 14:00, or 2026-12-01T09:00.", s)
}
