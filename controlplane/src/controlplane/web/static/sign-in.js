// Sign in with the token that a link or a scanned code carries behind the `#`: browsers send that part to nobody.
function signIn() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname + location.search);
    const field = document.getElementById("token");
    field.value = token;
    field.form.requestSubmit();
  }
}
signIn();
addEventListener("hashchange", signIn); // the link was pasted while this page was open: that loads nothing
