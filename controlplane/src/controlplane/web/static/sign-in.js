// Fill in the token that a scanned code carries behind the `#`: browsers do not send that part to anybody.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("token").value = token;
}
