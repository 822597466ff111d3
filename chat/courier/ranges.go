package courier

import (
	"bytes"
	"cmp"
	"slices"

	"earshot/chat"
)

// This file is sums over ranges of logs. Those that go in may be in any order and
// overlap; those that come out ascend by log and number, and do not touch.

func join(a, b []Range) []Range {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b Range) int { return cmp.Or(compareLogs(a.Log, b.Log), cmp.Compare(a.From, b.From)) })
	var out []Range
	for _, r := range all {
		if n := len(out); n > 0 && out[n-1].Log == r.Log && r.From <= out[n-1].To+1 {
			out[n-1].To = max(out[n-1].To, r.To)
			continue
		}
		if r.From <= r.To {
			out = append(out, r)
		}
	}
	return out
}

// minus returns what of a is not in b.
func minus(a, b []Range) []Range {
	out := join(a, nil)
	for _, gone := range join(b, nil) {
		var left []Range
		for _, r := range out {
			if r.Log != gone.Log || gone.To < r.From || r.To < gone.From {
				left = append(left, r)
				continue
			}
			if r.From < gone.From {
				left = append(left, Range{Log: r.Log, From: r.From, To: gone.From - 1})
			}
			if gone.To < r.To {
				left = append(left, Range{Log: r.Log, From: gone.To + 1, To: r.To})
			}
		}
		out = left
	}
	return out
}

// cut returns what is in both.
func cut(a, b []Range) []Range { return minus(a, minus(a, b)) }

func compareLogs(a, b chat.LogID) int { return bytes.Compare(a[:], b[:]) }
