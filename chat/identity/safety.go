package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"strings"
)

const domainSafety = "earshot/v1 safety-number\x00"

// SafetyNumber returns the 60 digits that two people compare, in 12 groups of 5:
// equal on both sides if, and only if, each holds the other's true root key. It
// does not change with devices, names or time (PROTOCOL.md#safety-numbers). Both
// keys have ed25519.PublicKeySize bytes.
func SafetyNumber(a, b ed25519.PublicKey) string {
	if bytes.Compare(a, b) > 0 {
		a, b = b, a
	}
	h := sha512.New()
	h.Write([]byte(domainSafety))
	h.Write(a)
	h.Write(b)
	sum := h.Sum(nil)
	var sb strings.Builder
	for i := range 12 {
		var n uint64
		for _, c := range sum[5*i : 5*i+5] {
			n = n<<8 | uint64(c)
		}
		if i > 0 {
			sb.WriteByte(' ')
		}
		fmt.Fprintf(&sb, "%05d", n%100_000) // 2^40 values: no digit is favoured by more than 10^-7
	}
	return sb.String()
}
