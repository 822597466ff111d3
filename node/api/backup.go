package api

import (
	"net/http"
	"time"
)

// Backup is the body of POST /v1/backup.
type Backup struct {
	Passphrase string `json:"passphrase"`
}

// backup answers with a backup. What fails before its first byte is an error like
// any other; afterwards the connection is cut, so that nobody takes a part for all.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) error {
	var body Backup
	if err := decode(r, &body); err != nil {
		return err
	}
	out := &patientWriter{w: w, control: http.NewResponseController(w)}
	err := s.cfg.Backend.Backup(r.Context(), body.Passphrase, out)
	if err == nil || !out.begun {
		return err
	}
	s.log.Warn("a backup was cut off", "err", err)
	panic(http.ErrAbortHandler)
}

// patientWriter gives every write the time that a whole reply has otherwise.
type patientWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (p *patientWriter) Write(b []byte) (int, error) {
	if !p.begun {
		p.begun = true
		p.w.Header().Set("Content-Type", "application/octet-stream")
	}
	if err := p.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}
