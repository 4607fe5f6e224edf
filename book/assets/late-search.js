// The search and its index weigh more than a page. They are asked for when a reader turns to the search.
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
  // A worker starts when it is told something; Material tells it the index first.
  const Worker = globalThis.Worker;
  globalThis.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.url = url;
    }
    postMessage(data) {
      this.inside ??= this.start();
      this.inside.postMessage(data);
    }
    start() {
      const inside = new Worker(this.url);
      inside.addEventListener("message", ({ data }) => this.dispatchEvent(new MessageEvent("message", { data })));
      return inside;
    }
  };
}
