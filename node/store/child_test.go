package store

func runChild() {}
