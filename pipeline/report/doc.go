// Package report says what became of a run: in plain text, in the width of a terminal,
// from its manifest alone, and as a page with pictures of its tables.
package report
