package wording

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"earshot/chat"
)

// This file is amounts of time and space, as people write and read them.

const (
	day  = 24 * time.Hour
	week = 7 * day
	// maxLasting bounds how long messages can be set to last.
	maxLasting = 100 * 365 * day
)

var units = []struct {
	sign string
	name string
	is   time.Duration
}{
	{"w", "week", week}, {"d", "day", day}, {"h", "hour", time.Hour}, {"m", "minute", time.Minute}, {"s", "second", time.Second},
}

// Lasting puts a time in the largest unit that divides it: "90 days". It is 0 for ever.
func Lasting(d time.Duration) string {
	if d <= 0 {
		return "for ever"
	}
	for _, u := range units[1:] { // nobody counts 90 days in weeks
		if d%u.is == 0 {
			return Count(int(d/u.is), u.name)
		}
	}
	return d.String()
}

// ParseLasting reads a number with s, m, h, d or w behind it, or "off", which is 0.
func ParseLasting(s string) (time.Duration, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "off" {
		return 0, nil
	}
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.sign)
		n, err := strconv.ParseInt(number, 10, 64)
		if ok && err == nil && n > 0 && n <= int64(maxLasting/u.is) {
			return time.Duration(n) * u.is, nil
		}
	}
	return 0, chat.Errorf(chat.CodeUsage, "%.40q is no length of time. Give a number with s, m, h, d or w behind it, such as 1d or 90d, or off.", s)
}

// Size puts bytes in words.
func Size(n int64) string {
	const unit = 1024
	if n < unit {
		return Count(int(n), "byte")
	}
	signs := []string{"KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n)/unit, 0
	for f >= unit && i < len(signs)-1 {
		f, i = f/unit, i+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + " " + signs[i]
}

// maxSize bounds what can be given, in bytes: a disk of a pebibyte.
const maxSize = 1 << 50

// ParseSize reads a number of bytes with K, M, G or T behind it, which are powers of
// 1024.
func ParseSize(s string) (int64, error) {
	number := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(s)), "B"), "I")
	shift := 0
	for i, sign := range []string{"K", "M", "G", "T"} {
		if rest, ok := strings.CutSuffix(number, sign); ok {
			number, shift = strings.TrimSpace(rest), 10*(i+1)
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > maxSize>>shift {
		return 0, chat.Errorf(chat.CodeUsage, "%.40q is no amount of space. Give a number with K, M, G or T behind it, such as 500M or 1G.", s)
	}
	return n << shift, nil
}
