package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// tokenHeader is where a request shows the token that may end the run. A form of
// another site cannot set it.
const tokenHeader = "X-Tsrun-Token"

// policy lets the page load and ask what is its own, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guarded lets requests through that are for this page.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !s.isOwnHost(r) {
			refuse(w, http.StatusMisdirectedRequest, "this is not the address of the page", "open what tsrun printed; a name that leads here by chance is refused")
			return
		}
		if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			refuse(w, http.StatusForbidden, "another site asks for the page", "open it itself, by what tsrun printed")
			return
		}
		if s.secure && !s.mayLook(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse says why a request is refused, and what to do.
func refuse(w http.ResponseWriter, status int, why, hint string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "%s\n%s\n", why, hint)
}

// isOwnHost reports whether a request names this page, so that no name of somebody
// else's that was made to lead here (DNS rebinding) gets an answer.
func (s *Server) isOwnHost(r *http.Request) bool {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil { // the port of the scheme itself
		host, port = strings.Trim(r.Host, "[]"), map[bool]string{false: "80", true: "443"}[s.secure]
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	here, err := netip.ParseAddrPort(local.String())
	if err != nil || port != fmt.Sprint(here.Port()) {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap() == here.Addr().Unmap()
	}
	if strings.EqualFold(host, "localhost") {
		return here.Addr().Unmap().IsLoopback()
	}
	return s.secure && (strings.EqualFold(host, s.name) || strings.EqualFold(host, thisPC()))
}

// mayLook reports whether a request of another PC shows that it may see the page, by
// the cookie that the printed address gives it. The cookie lets nobody stop anything.
func (s *Server) mayLook(w http.ResponseWriter, r *http.Request) bool {
	name := "tsrun-" + s.port()
	if c, err := r.Cookie(name); err == nil && equal(c.Value, s.ticket()) {
		return true
	}
	if equal(r.Header.Get(tokenHeader), s.token) {
		return true
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && equal(bearer, s.token) { // as Prometheus sends it
		return true
	}
	if r.Method == http.MethodGet && r.URL.Path == "/" && equal(r.URL.Query().Get("token"), s.token) {
		http.SetCookie(w, &http.Cookie{Name: name, Value: s.ticket(), Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode})
		http.Redirect(w, r, "/#token="+s.token, http.StatusSeeOther)
		return false
	}
	refuse(w, http.StatusUnauthorized, "who sees this page has its token", "open the whole address that tsrun printed")
	return false
}

func (s *Server) port() string {
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	return port
}

// ticket is what lets a browser look and do no more.
func (s *Server) ticket() string {
	mac := hmac.New(sha256.New, []byte(s.token))
	mac.Write([]byte("look"))
	return hex.EncodeToString(mac.Sum(nil))
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// mayAct says why a request may not change the run; 0 where it may.
func (s *Server) mayAct(r *http.Request) (status int, why, hint string) {
	scheme := map[bool]string{false: "http://", true: "https://"}[s.secure]
	switch {
	case r.Header.Get("Origin") != scheme+r.Host:
		return http.StatusForbidden, "the request is not from this page", "stop the run from the page itself, or with Ctrl-C where it was started"
	case r.ContentLength != 0:
		return http.StatusRequestEntityTooLarge, "the request has a body", "send none"
	case !equal(r.Header.Get(tokenHeader), s.token):
		return http.StatusForbidden, "the token is missing or wrong", "open the whole address that tsrun printed, with its token"
	}
	return 0, "", ""
}

// letsAct returns the state of the run to who may change it, and refuses all others.
func (s *Server) letsAct(w http.ResponseWriter, r *http.Request) (state string, ok bool) {
	if status, why, hint := s.mayAct(r); status != 0 {
		refuse(w, status, why, hint)
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.board.state, true
}

// stop ends the recording, and keeps what there is.
func (s *Server) stop(w http.ResponseWriter, r *http.Request) {
	state, ok := s.letsAct(w, r)
	if !ok {
		return
	}
	switch {
	case s.options.Stop == nil:
		refuse(w, http.StatusConflict, "this run is over", "there is nothing to stop")
		return
	case state != "running":
		refuse(w, http.StatusConflict, "nothing is being recorded: the run is "+stateWord(state), "what was not begun is ended with Ctrl-C where it was started; what is recorded is kept anyway")
		return
	}
	if err := s.options.Stop(); err != nil {
		refuse(w, http.StatusConflict, err.Error(), "wait for the end of the run")
		return
	}
	s.options.Log.Info("stopped from the page", "address", r.RemoteAddr)
	w.WriteHeader(http.StatusAccepted)
}

// stateWord is a state for people.
func stateWord(state string) string {
	if state == "" {
		return "not begun"
	}
	return state
}

// record has what is watched recorded. Asking for it again changes nothing.
func (s *Server) record(w http.ResponseWriter, r *http.Request) {
	state, ok := s.letsAct(w, r)
	if !ok {
		return
	}
	if s.options.Record == nil || state != "watching" {
		refuse(w, http.StatusConflict, "nothing is watched: the run is "+stateWord(state), "tsrun watch RECIPE --web looks at a bench first")
		return
	}
	s.options.Record()
	s.options.Log.Info("recorded from the page", "address", r.RemoteAddr)
	w.WriteHeader(http.StatusAccepted)
}
