// Package report says in plain text, in the width of a terminal, what became of a
// run: from its manifest alone.
package report
