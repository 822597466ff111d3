package chat

import (
	"errors"
	"fmt"
	"log/slog"
)

// Code is the stable name of a kind of failure, for programs to branch on. The
// list only ever grows: a code keeps its meaning for ever.
type Code string

const (
	CodeInternal    Code = "internal"     // a defect in Earshot
	CodeUsage       Code = "usage"        // the call itself is wrong
	CodeBadID       Code = "bad_id"       // an id that cannot be read
	CodeNotFound    Code = "not_found"    // no such room, person or message
	CodeTooLong     Code = "too_long"     // text or name over its limit
	CodeEmpty       Code = "empty"        // nothing to send
	CodeNotJoined   Code = "not_joined"   // a room this node is not in
	CodeHomeLocked  Code = "home_locked"  // another node holds the home
	CodeHomeBroken  Code = "home_broken"  // the home cannot be read or written
	CodeHomeNewer   Code = "home_newer"   // the home was written by a newer version
	CodeDiskFull    Code = "disk_full"    // no space left
	CodeUnreachable Code = "unreachable"  // the node or a peer does not answer
	CodeDenied      Code = "denied"       // the caller may not do this
	CodeBusy        Code = "busy"         // a bound was reached; try again later
	CodeNoNetwork   Code = "no_network"   // no usable network interface
	CodePortTaken   Code = "port_taken"   // the pinned port belongs to another program
	CodeInvalid     Code = "invalid"      // a stranger's bytes break the protocol
	CodeStopping    Code = "stopping"     // the node is shutting down
	CodeNoInterface Code = "no_interface" // an interface that was named is not there
	CodeClock       Code = "clock"        // this clock and a neighbour's are far apart
	CodeBackup      Code = "backup"       // a backup that is damaged, or none at all
	CodePassphrase  Code = "passphrase"   // the home's passphrase is wrong, or nobody can be asked for it
	CodeAmbiguous   Code = "ambiguous"    // a name that fits several; the text lists them with their ids
	CodeNotContact  Code = "not_contact"  // a person who must be a contact first
	CodeHeld        Code = "held"         // nothing is sent: another root key goes by a verified contact's name
	CodeRevoked     Code = "revoked"      // this device was revoked: it takes no part in what is encrypted
	CodeDeviceLists Code = "device_lists" // two lists of a person's devices contradict each other
	CodeInvisible   Code = "invisible"    // this person has chosen that nobody sees them
	CodeNoKey       Code = "no_key"       // nobody's key is known yet, so nothing can be sealed
	CodeNotYet      Code = "not_yet"      // what was waited for has not happened in time
	CodeCloned      Code = "cloned"       // a device's key is in use in two places
	CodeRolledBack  Code = "rolled_back"  // this home is older than what this device has said
)

// Error is a failure as a person, a program and an operator each need it: Text
// says in plain words what is wrong, Hint says what to do next (Text may already
// do so), Code is for programs, Err is the cause for a log.
type Error struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
	Err  error  `json:"-"`
}

// Error returns the sentence for a person: Text and Hint.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Text
	}
	return e.Text + " " + e.Hint
}

// Unwrap returns the cause, which is for logs and not for people.
func (e *Error) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer: a log has the cause behind the sentence.
func (e *Error) LogValue() slog.Value {
	if e.Err == nil {
		return slog.StringValue(e.Error())
	}
	return slog.StringValue(e.Error() + " (" + e.Err.Error() + ")")
}

// Errorf makes an Error whose text already ends with what to do next.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error around a cause.
func Wrap(code Code, cause error, text, hint string) *Error {
	return &Error{Code: code, Text: text, Hint: hint, Err: cause}
}

// AsError returns err as an Error; one that is none becomes CodeInternal, with its
// own words and the advice to report it.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{
		Code: CodeInternal, Text: "Earshot failed in a way it did not expect: " + err.Error() + ".",
		Hint: "Try again; if it happens again, report these words.", Err: err,
	}
}

// CodeOf returns the code of err, CodeInternal where it has none and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}
