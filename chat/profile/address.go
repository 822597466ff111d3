package profile

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"earshot/chat"
)

// maxLocal bounds what stands before the @, in bytes: RFC 5321.
const maxLocal = 64

var (
	fold = cases.Fold()
	// domains reads a domain name as it is looked up: in lower case, with what is not
	// ASCII in Punycode.
	domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))
)

// Address returns an e-mail address as it is compared: without case, the domain as it
// is looked up. It takes what people have on their cards: letters and digits of any
// script, dots between them, and the signs of RFC 5322 that need no quotes. The error
// has chat.CodeUsage.
func Address(s string) (string, error) {
	if len(s) > chat.MaxProfilePart {
		return "", noAddress(s)
	}
	s = norm.NFC.String(s)
	i := strings.LastIndexByte(s, '@')
	if i < 0 || chat.CleanLine(s, chat.MaxProfilePart) != s {
		return "", noAddress(s)
	}
	local, domain := s[:i], s[i+1:]
	if len(local) > maxLocal || strings.HasSuffix(domain, ".") || strings.ContainsFunc(domain, unicode.IsSpace) {
		return "", noAddress(s)
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !atomic(r) }) {
			return "", noAddress(s)
		}
	}
	domain, err := domains.ToASCII(domain)
	if err != nil {
		return "", noAddress(s)
	}
	return norm.NFC.String(fold.String(local)) + "@" + domain, nil
}

// atomic reports whether a character may stand in an address without quotes.
func atomic(r rune) bool {
	if r > unicode.MaxASCII {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
	}
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

func noAddress(s string) error {
	return chat.Errorf(chat.CodeUsage, "%q is no e-mail address. Write it as name@example.org.", chat.CleanLine(s, chat.MaxProfilePart))
}
