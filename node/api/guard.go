package api

import (
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

	"earshot/chat"
)

// guard refuses what no face of ours sends: requests that a web page caused, or that
// lack the token. Only what passes reaches a route.
func (s *Server) guard(r *http.Request) error {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	switch host = strings.Trim(host, "[]"); {
	case host == "localhost", host == "127.0.0.1", host == "::1":
	case host == hostName && s.endpoint.Network == "unix":
		// Over TCP a name without dots is one that others on the LAN can claim.
	default:
		return chat.Errorf(chat.CodeDenied, "The local API does not answer to the name %.60q. Use localhost.", host)
	}
	if origin := r.Header.Values("Origin"); len(origin) > 1 || len(origin) == 1 && origin[0] != "http://"+r.Host {
		return chat.Errorf(chat.CodeDenied, "The local API does not answer pages of other origins. Call it from a program.")
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return chat.Errorf(chat.CodeDenied, "The local API does not answer pages of other sites. Call it from a program.")
	}
	if s.endpoint.Token != "" {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(s.endpoint.Token)) != 1 {
			return errNoToken
		}
	}
	return nil
}

// hostName is what clients call the other end of the socket.
const hostName = "earshot"

var errNoToken = chat.Errorf(chat.CodeDenied, "The request lacks this node's token. Read it from %s in its home.", EndpointFile)

// status returns the HTTP status that fits an error.
func status(err *chat.Error) int {
	if err == errNoToken {
		return http.StatusUnauthorized
	}
	switch err.Code {
	case chat.CodeUsage, chat.CodeBadID, chat.CodeEmpty, chat.CodeInvalid:
		return http.StatusBadRequest
	case chat.CodeDenied, chat.CodePassphrase, chat.CodeNotContact, chat.CodeRevoked:
		return http.StatusForbidden
	case chat.CodeNotFound:
		return http.StatusNotFound
	case chat.CodeNotJoined, chat.CodePortTaken, chat.CodeAmbiguous, chat.CodeHeld, chat.CodeNoKey, chat.CodeDeviceLists:
		return http.StatusConflict
	case chat.CodeTooLong:
		return http.StatusRequestEntityTooLarge
	case chat.CodeBusy:
		return http.StatusTooManyRequests
	case chat.CodeUnreachable, chat.CodeNoNetwork, chat.CodeNoInterface, chat.CodeStopping, chat.CodeHomeLocked:
		return http.StatusServiceUnavailable
	case chat.CodeDiskFull:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}
