// The index of the search weighs more than a page. It is asked for when a reader turns to the search.
{
  const { open, send } = XMLHttpRequest.prototype;
  const searches = (box) => box?.closest?.(".md-search");
  XMLHttpRequest.prototype.open = function (method, address, ...rest) {
    this.isIndex = String(address).endsWith("/search/search_index.json");
    open.call(this, method, address, ...rest);
  };
  XMLHttpRequest.prototype.send = function (...body) {
    if (!this.isIndex || searches(document.activeElement) || location.search.includes("q=")) return send.apply(this, body);
    const turn = (event) => {
      if (!searches(event.target)) return;
      removeEventListener("focusin", turn);
      send.apply(this, body);
    };
    addEventListener("focusin", turn);
  };
}
